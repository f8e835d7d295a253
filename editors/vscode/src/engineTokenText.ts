/**
 * The token of an engine on another machine: which words can be one, and how the server is given it. Pure.
 */
export const VARIABLE = 'SEEDLING_ENGINE_TOKEN';
const MAX_CHARACTERS = 1024; // as the server has it

/** What is wrong with what was typed, undefined if nothing is; nothing typed means no token. */
export function problemOf(typed: string): string | undefined {
  const token = typed.trim();
  if (token.length > MAX_CHARACTERS) {
    return `A token has at most ${MAX_CHARACTERS} characters.`;
  }
  return /^[!-~]*$/.test(token) ? undefined : 'A token is one word of printable ASCII characters.';
}

/** The environment of the server's process and of nothing else; the secret store's token goes before any other. */
export function withToken(environment: NodeJS.ProcessEnv, token: string | undefined): NodeJS.ProcessEnv {
  return token === undefined ? environment : { ...environment, [VARIABLE]: token };
}
