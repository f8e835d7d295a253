/**
 * Why there is no ghost text in the focused document, as one sentence: what only the editor knows first, then what the
 * server last said. Pure.
 */
import type { State } from './state';

export interface Here {
  /** Undefined: no document has the focus. */
  readonly document: { readonly uri: string; readonly languageId: string; readonly isServed: boolean } | undefined;
  readonly enabled: boolean;
  readonly state: State;
}

/** Undefined: ghost text may come here. */
export function quietHere({ document, enabled, state }: Here): string | undefined {
  if (document === undefined) {
    return undefined;
  }
  if (!document.isServed) {
    return `Seedling does not complete ${document.languageId === '' ? 'this document' : `"${document.languageId}" here`}.`;
  }
  if (!enabled) {
    return 'Ghost text is switched off in the settings (seedling.enable); "Suggest Now" still works.';
  }
  if (state.kind !== 'Normal' || state.busy) {
    return state.reason == null || state.uri == null || state.uri === document.uri ? state.message : undefined;
  }
  return undefined;
}
