/**
 * A Python that an environment can be made with: 3.11 or newer, with venv and pip's installer.
 * Never one of a project: not inside a workspace folder, not a virtual environment, no relative entry of PATH.
 */
import { realpathSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { run } from './childProcess';

const MIN_MINOR = 11;
// 3.11 is what Seedling is tested with; a bare python3 is whatever the system has.
const NAMES = ['python3.11', 'python3.12', 'python3.13', 'python3.14', 'python3', 'python'];
const QUESTION =
  'import sys, json, importlib.util as u; print(json.dumps([sys.executable, sys.version_info[:2], ' +
  'sys.prefix != sys.base_prefix, [m for m in ("venv", "ensurepip") if u.find_spec(m) is None]]))';

export interface Search {
  readonly environment: NodeJS.ProcessEnv;
  /** Where the candidates are asked: a folder of the extension, since a version manager may read files of the current one. */
  readonly folder: string;
  readonly workspaceFolders: readonly string[];
  /** What the user chose by hand, asked first. */
  readonly chosen?: string | undefined;
  /** "3.11" where the packages that are at hand are for that version only. */
  readonly wanted?: string | undefined;
}

/** The full path of a fitting Python; throws an Error whose message is meant for the user. */
export async function findPython(search: Search): Promise<string> {
  const refused: string[] = [];
  for (const candidate of search.chosen === undefined ? candidates(search) : [search.chosen]) {
    const found = await ask(candidate, search);
    if ('program' in found) {
      return found.program;
    }
    refused.push(`${candidate}: ${found.refusal}`);
  }
  const version = search.wanted === undefined ? `3.${MIN_MINOR} or newer` : `${search.wanted} (this package is for no other)`;
  // A choice gets its reason; the list of a search goes to the log.
  const why = search.chosen === undefined ? 'none was found; the log says what was looked at' : refused[0]!;
  const looked = { cause: new Error(`Looked at ${refused.join('; ') || 'nothing'}`) };
  throw new Error(`Seedling needs a Python ${version} with its venv module: ${why}.`, looked);
}

function candidates(search: Search): string[] {
  const windows = process.platform === 'win32';
  const usual = windows ? [] : ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin', path.join(os.homedir(), '.local/bin')];
  const folders = [...(search.environment['PATH'] ?? '').split(path.delimiter), ...usual].filter(path.isAbsolute);
  const programs = NAMES.flatMap((name) => folders.map((folder) => path.join(folder, windows ? `${name}.exe` : name)));
  const real = programs.flatMap((program) => {
    try {
      return [[program, realpathSync(program)] as const];
    } catch {
      return [];
    }
  });
  const outside = real.filter(([program, target]) => !isInside(program, search) && !isInside(target, search));
  // One file under several names is asked once; a version manager's shims are all one file, and each name means another.
  const isShim = (target: string) => !/python[\d.]*(\.exe)?$/.test(target);
  const seen = new Set<string>();
  return outside.flatMap(([program, target]) => {
    const key = isShim(target) ? program : target;
    return seen.has(key) ? [] : (seen.add(key), [program]);
  });
}

function isInside(program: string, search: Search): boolean {
  return isInFolders(program, search.workspaceFolders);
}

export function isInFolders(file: string, folders: readonly string[]): boolean {
  return folders.some((folder) => {
    const way = path.relative(folder, file);
    return way !== '' && way.split(path.sep)[0] !== '..' && !path.isAbsolute(way);
  });
}

type Answer = { readonly program: string } | { readonly refusal: string };

async function ask(candidate: string, search: Search): Promise<Answer> {
  let answer: [string, [number, number], boolean, string[]];
  try {
    const ended = await run(candidate, ['-I', '-c', QUESTION], {
      folder: search.folder,
      environment: withoutPython(search.environment),
      signal: AbortSignal.timeout(20_000),
    });
    answer = JSON.parse(ended.lines.at(-1) ?? '');
  } catch {
    return { refusal: 'does not run' };
  }
  const [program, [major, minor], isVirtual, missing] = answer;
  const version = `${major}.${minor}`;
  if (major !== 3 || minor < MIN_MINOR || (search.wanted !== undefined && version !== search.wanted)) {
    return { refusal: `is ${version}` };
  }
  if (isVirtual) {
    return { refusal: 'is a virtual environment' };
  }
  if (missing.length > 0) {
    return { refusal: `lacks ${missing.join(' and ')} (Debian, Ubuntu: apt install python3-venv)` };
  }
  return { program };
}

/** The environment without what would lead a Python elsewhere. */
export function withoutPython(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const leads = (name: string) => name.startsWith('PYTHON') || name === '__PYVENV_LAUNCHER__' || name === 'VIRTUAL_ENV';
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !leads(name)));
}
