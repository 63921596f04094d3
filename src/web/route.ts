import type { Permission } from '../domain/permissions.ts';
import type { Page } from './page.ts';

/**
 * Every route says who may use it; a test walks this list with every role. `public` is for signing in and health,
 * `signed_in` for a person's own account.
 */
export interface Route {
  readonly method: 'get' | 'post';
  readonly path: string;
  readonly access: Permission | 'signed_in' | 'public';
  /** Forms with files are read by the handler itself; everything else is a small form. */
  readonly body?: 'form' | 'raw';
  handle(page: Page): Promise<void> | void;
}
