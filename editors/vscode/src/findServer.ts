/**
 * Where the language server's program is: the setting, else `seedling` on PATH.
 * Deliberately never a program inside the workspace, nor relative entries of PATH: a project must not choose what runs.
 */
import { accessSync, constants, statSync } from 'node:fs';
import * as path from 'node:path';
import { serverCommand } from './settings';

export interface CommandLine {
  readonly program: string;
  readonly args: readonly string[];
}

/** The command line to run; throws an Error whose message is meant for the user. */
export function findServer(): CommandLine {
  const [program, ...args] = serverCommand();
  if (program !== undefined) {
    if (!path.isAbsolute(program) || !isExecutable(program)) {
      throw new Error(
        `Seedling cannot start: "${program}" (setting seedling.server.command) is not the full path of a program.`,
      );
    }
    return { program, args };
  }
  const found = onPath('seedling');
  if (found === undefined) {
    throw new Error('Seedling cannot start: there is no program "seedling" on PATH. Install it, or set its path.');
  }
  return { program: found, args: ['serve'] };
}

function onPath(name: string): string | undefined {
  const file = process.platform === 'win32' ? `${name}.exe` : name;
  return (process.env['PATH'] ?? '')
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder))
    .map((folder) => path.join(folder, file))
    .find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
