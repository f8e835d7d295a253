/**
 * What Seedling is doing, as the server tells it with `didChangeStatus` (the shape is GitHub Copilot's, with two fields
 * more), and what it answers to `seedling.status`.
 */
export interface State {
  readonly kind: 'Normal' | 'Warning' | 'Error' | 'Inactive';
  readonly busy: boolean;
  readonly message: string;
  /** Why the document `uri` gets no ghost text; without them the message is about the engine. */
  readonly reason?: string | null;
  readonly uri?: string | null;
  /** Whether next edits are on, in the document that has the focus. */
  readonly nextEdit?: boolean | null;
}

export interface Reason {
  readonly reason: string | null;
  readonly sentence: string;
}

export interface ServerStatus extends State {
  readonly model?: string | null;
  readonly device?: string | null;
  readonly languages?: readonly string[] | null;
  readonly snoozedUntilS?: number | null;
  readonly document?: (Reason & { readonly uri: string }) | null;
  readonly last?: Reason | null;
}

export const STARTING: State = { kind: 'Inactive', busy: true, message: 'The language server is starting.' };
export const STOPPED: State = { kind: 'Inactive', busy: false, message: 'The language server is not running.' };
export const NOT_INSTALLED: State = {
  kind: 'Warning',
  busy: false,
  message: 'The language server is not installed yet.',
};

export function installing(step: string): State {
  return { kind: 'Inactive', busy: true, message: `Installing the language server: ${step}.` };
}

export function failed(message: string): State {
  return { kind: 'Error', busy: false, message };
}
