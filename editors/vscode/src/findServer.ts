/**
 * Where the language server's program is: the setting, else `seedling` on PATH, else the environment that the extension
 * owns. Deliberately never a program inside the workspace, nor relative entries of PATH: a project must not choose what
 * runs.
 */
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import * as path from 'node:path';
import { isInFolders } from './python';

export interface CommandLine {
  readonly program: string;
  readonly args: readonly string[];
  readonly source: 'setting' | 'PATH' | 'extension';
}

/** The command line of a program that the user installed, or undefined; throws an Error meant for the user. */
export function findServer(
  setting: readonly string[],
  searchPath: string,
  workspaceFolders: readonly string[],
): CommandLine | undefined {
  const [program, ...args] = setting;
  if (program !== undefined) {
    if (!path.isAbsolute(program) || !isExecutable(program)) {
      throw new Error(
        `Seedling cannot start: "${program}" (setting seedling.server.command) is not the full path of a program.`,
      );
    }
    return { program, args, source: 'setting' };
  }
  const file = process.platform === 'win32' ? 'seedling.exe' : 'seedling';
  const found = searchPath
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder))
    .map((folder) => path.join(folder, file))
    .find((candidate) => isExecutable(candidate) && !isOf(workspaceFolders, candidate));
  return found === undefined ? undefined : { program: found, args: ['serve'], source: 'PATH' };
}

function isOf(workspaceFolders: readonly string[], program: string): boolean {
  const real = workspaceFolders.map((folder) => (exists(folder) ? realpathSync(folder) : folder));
  return [program, realpathSync(program)].some((file) => isInFolders(file, [...workspaceFolders, ...real]));
}

function exists(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false }) !== undefined;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
