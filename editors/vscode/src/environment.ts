/**
 * The Python environment that the extension owns: made with pip from the wheel inside the extension's package, found
 * again, rebuilt, removed. Knows nothing of VS Code.
 *
 * Every package has a folder of its own below the extension's storage, named by the package's digest, so an upgrade is
 * made beside the old one, which may still be running. The file `complete` is written last: a folder without it is the
 * rest of an installation that was cut off, and is made anew.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { Cancelled, run } from './childProcess';
import { HOSTS_QUESTION, type PipNetwork, pipEnvironment, trust } from './pip';
import { withoutPython } from './python';

// PyTorch's own index of builds without CUDA, which are several GB smaller.
const CPU_INDEX = 'https://download.pytorch.org/whl/cpu';
const COMPLETE = 'complete';

/** What the extension's package carries (editors/tools/build-extension.sh writes bundle.json). */
export interface Bundle {
  readonly folder: string;
  /** Names the content: another digest is another server. */
  readonly digest: string;
  readonly version: string;
  readonly wheel: string;
  /** The Python, as "3.11", and the platform that the wheels of all dependencies are for; null: pip fetches them. */
  readonly offline: { readonly python: string; readonly platform: string } | null;
}

export interface Work {
  readonly environment: NodeJS.ProcessEnv;
  readonly network: PipNetwork;
  readonly signal: AbortSignal;
  readonly onStep: (sentence: string) => void;
  readonly onLine: (line: string) => void;
}

/** The bundle inside the extension's folder, or undefined for a package without one. */
export function readBundle(extensionFolder: string): Bundle | undefined {
  const folder = path.join(extensionFolder, 'server');
  try {
    return { folder, ...JSON.parse(readFileSync(path.join(folder, 'bundle.json'), 'utf8')) };
  } catch {
    return undefined;
  }
}

export class OwnedEnvironment {
  readonly folder: string;

  constructor(
    /** The extension's storage; everything here lies in its folder `server`. */
    private readonly storage: string,
    readonly bundle: Bundle,
  ) {
    this.folder = path.join(this.root, bundle.digest);
  }

  private get root(): string {
    return path.join(this.storage, 'server');
  }

  get program(): string {
    return this.binary('seedling');
  }

  /** Whether the whole environment of this bundle is there. A Python that was removed meanwhile leaves a dead link. */
  get isComplete(): boolean {
    return [path.join(this.folder, COMPLETE), this.binary('python'), this.program].every(isFile);
  }

  /** Whether this extension has installed a server before: then an upgrade needs no new consent. */
  get existed(): boolean {
    return existsSync(this.root) && readdirSync(this.root).length > 0;
  }

  /** Whether the program runs at all. */
  async runs(environment: NodeJS.ProcessEnv): Promise<boolean> {
    try {
      const options = { folder: this.storage, environment: withoutPython(environment), signal: AbortSignal.timeout(30_000) };
      return (await run(this.program, ['--version'], options)).code === 0;
    } catch {
      return false;
    }
  }

  /** Makes the environment with `python`; throws Cancelled, or an Error whose message is meant for the user. */
  async install(python: string, work: Work): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.root, { recursive: true });
    try {
      work.onStep('making an environment');
      await this.step(python, ['-I', '-m', 'venv', this.folder], work, 'The environment could not be made');
      await this.installPackages(work);
      if (!(await this.runs(work.environment))) {
        throw new Error('The server was installed, but does not run.');
      }
    } catch (error) {
      rmSync(this.folder, { recursive: true, force: true });
      throw error;
    }
    writeFileSync(path.join(this.folder, COMPLETE), `${this.bundle.version}\n`);
  }

  /** Removes the environments of other versions; those that are still in use on Windows stay until the next time. */
  removeOthers(): void {
    for (const name of readdirSync(this.root)) {
      if (name !== this.bundle.digest) {
        rmSync(path.join(this.root, name), { recursive: true, force: true });
      }
    }
  }

  removeAll(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  private async installPackages(work: Work): Promise<void> {
    const { folder, wheel, offline } = this.bundle;
    const constraints = path.join(folder, 'constraints.txt');
    const trusted = work.network.strictSsl || offline !== null ? [] : trust(await this.indexHosts(work));
    const torch = /^torch==\S+/m.exec(readFileSync(constraints, 'utf8'))?.[0];
    if (offline === null && torch !== undefined && wantsCpuTorch()) {
      work.onStep('looking for the small build of PyTorch');
      // Without an answer within seconds the ordinary one is taken below.
      const quickly = ['--no-deps', '--retries', '0', '--timeout', '5', '--index-url', CPU_INDEX];
      await this.pip([...trusted, ...quickly, torch], work);
    }
    work.onStep('installing packages');
    const source = offline === null ? [] : ['--no-index', '--find-links', path.join(folder, 'wheels')];
    const what = `${path.join(folder, wheel)}[engine]`;
    const { code, lines } = await this.pip([...trusted, ...source, '--constraint', constraints, what], work);
    if (code !== 0) {
      throw new Error(`The packages could not be installed: ${lastError(lines)}`);
    }
  }

  private async indexHosts(work: Work): Promise<string[]> {
    const environment = withoutPython(work.environment);
    const asked = await run(this.binary('python'), ['-I', '-c', HOSTS_QUESTION], { folder: this.storage, environment });
    const hosts: string[] = asked.code === 0 ? JSON.parse(asked.lines.at(-1) ?? '[]') : [];
    return [...hosts, new URL(CPU_INDEX).hostname];
  }

  private pip(args: readonly string[], work: Work) {
    // Python compiles what is imported when it is; pip would compile all of PyTorch, which takes longer than unpacking it.
    const quiet = ['--disable-pip-version-check', '--no-input', '--progress-bar', 'off', '--no-compile'];
    const always = ['-I', '-m', 'pip', 'install', ...quiet];
    const onLine = (line: string) => {
      work.onLine(line);
      const download = /^\s*Downloading (\S+?)-\d.*?(\([\d.]+ [kMG]B\))/.exec(line);
      if (download !== null) {
        work.onStep(`downloading ${path.basename(download[1]!)} ${download[2]}`);
      } else if (line.startsWith('Installing collected packages')) {
        work.onStep('unpacking');
      }
    };
    return run(this.binary('python'), [...always, ...args], {
      folder: this.storage,
      environment: pipEnvironment(withoutPython(work.environment), work.network),
      signal: work.signal,
      onLine,
    });
  }

  private async step(program: string, args: readonly string[], work: Work, failure: string): Promise<void> {
    const { code, lines } = await run(program, args, {
      folder: this.storage,
      environment: withoutPython(work.environment),
      signal: work.signal,
      onLine: work.onLine,
    });
    if (code !== 0) {
      throw new Error(`${failure}: ${lastError(lines)}`);
    }
  }

  private binary(name: string): string {
    return process.platform === 'win32'
      ? path.join(this.folder, 'Scripts', `${name}.exe`)
      : path.join(this.folder, 'bin', name);
  }
}

export { Cancelled };

function wantsCpuTorch(): boolean {
  return process.platform === 'linux' && !existsSync('/proc/driver/nvidia/version');
}

/** The line that says what went wrong: pip's last ERROR, else the last line. */
function lastError(lines: readonly string[]): string {
  const errors = lines.filter((line) => /^error:?\s/i.test(line)).map((line) => line.replace(/^error:?\s+/i, ''));
  return (errors.at(-1) ?? lines.at(-1) ?? 'it said nothing').trim();
}

function isFile(file: string): boolean {
  try {
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
