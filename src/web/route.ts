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
  /** `file` is a form with one file, read once the person may send it: see upload.ts. Everything else is a small form. */
  readonly body?: 'form' | 'raw' | 'file';
  handle(page: Page): Promise<void> | void;
}
