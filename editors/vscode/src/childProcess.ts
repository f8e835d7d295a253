/**
 * Runs a program to its end, line by line, until it ends or is cancelled. Knows nothing of VS Code, so that node's own
 * test runner can run what is built on it. Never through a shell.
 */
import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  /** Gets every line of stdout and stderr, as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface Ended {
  readonly code: number | null;
  readonly lines: readonly string[];
}

/** Thrown for a program that was taken back. */
export class Cancelled extends Error {
  constructor() {
    super('cancelled');
  }
}

export async function run(program: string, args: readonly string[], options: RunOptions): Promise<Ended> {
  if (options.signal?.aborted) {
    throw new Cancelled();
  }
  const lines: string[] = [];
  const child = spawn(program, [...args], {
    cwd: options.folder,
    env: options.environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
  });
  const take = (line: string) => {
    if (line !== '') {
      lines.push(line);
      options.onLine?.(line);
    }
  };
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      const parts = (rest + text).split(/\r?\n/);
      rest = parts.pop() ?? '';
      parts.forEach(take);
    });
    stream.on('end', () => take(rest));
  }
  const cancel = () => child.kill();
  options.signal?.addEventListener('abort', cancel);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (options.signal?.aborted) {
      throw new Cancelled();
    }
    return { code, lines };
  } finally {
    options.signal?.removeEventListener('abort', cancel);
  }
}
