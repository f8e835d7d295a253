/**
 * What Seedling is doing, as the server tells it with `didChangeStatus` (the shape is GitHub Copilot's).
 */
export interface State {
  readonly kind: 'Normal' | 'Warning' | 'Error' | 'Inactive';
  readonly busy: boolean;
  readonly message: string;
}

export const STARTING: State = { kind: 'Inactive', busy: true, message: 'The language server is starting.' };
export const STOPPED: State = { kind: 'Inactive', busy: false, message: 'The language server is not running.' };

export function failed(message: string): State {
  return { kind: 'Error', busy: false, message };
}
