/**
 * What pip is told about the network: VS Code's `http.proxy`, `http.noProxy` and `http.proxyStrictSSL`, on top of the
 * environment and pip's own configuration, which hold unless VS Code says otherwise.
 */
export interface PipNetwork {
  readonly proxy: string;
  readonly noProxy: readonly string[];
  readonly strictSsl: boolean;
}

/**
 * A Python program that prints the hosts of pip's indexes. pip cannot be told to trust any host, each has to be named;
 * where no index is configured they are pip's own.
 */
export const HOSTS_QUESTION = `
import json, subprocess, sys, urllib.parse
listed = subprocess.run([sys.executable, "-I", "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
words = [word.strip("'\\"") for line in listed.splitlines() if "index" in line for word in line.partition("=")[2].split()]
try:
    from pip._internal.models.index import PyPI
    words += [f"https://{PyPI.netloc}", f"https://{PyPI.file_storage_domain}"]
except Exception:
    pass
print(json.dumps(sorted({host for word in words if (host := urllib.parse.urlsplit(word).hostname)})))
`;

export function trust(hosts: readonly string[]): string[] {
  return hosts.flatMap((host) => ['--trusted-host', host]);
}

/** In the environment and not on the command line, which others can see: a proxy's address may hold a password. */
export function pipEnvironment(environment: NodeJS.ProcessEnv, network: PipNetwork): NodeJS.ProcessEnv {
  const set: Record<string, string> = {};
  const give = (name: string, value: string) => {
    if (value !== '') {
      set[name] = set[name.toLowerCase()] = value;
    }
  };
  give('HTTP_PROXY', network.proxy);
  give('HTTPS_PROXY', network.proxy);
  give('NO_PROXY', network.noProxy.join(','));
  return { ...environment, ...set };
}
