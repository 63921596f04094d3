import type { ClientLevel } from './client-evidence.ts';
import type { Evidence } from './session-evidence.ts';

/** Everything that the chain looks at, read from the real parts. Null is "there is none". */
export interface DiagnosisFacts {
  readonly now: Date;
  /** Whether a login can have that name at all. */
  readonly isNamePossible: boolean;
  readonly login: DiagnosedLogin | null;
  readonly subscriptionState: 'active' | 'paused' | 'terminated' | null;
  readonly decision: DiagnosedDecision | null;
  readonly rows: DiagnosedRows | null;
  readonly queued: { readonly isParked: boolean; readonly lastError: string | null } | null;
  readonly hasWorker: boolean;
  readonly router: DiagnosedRouter | null;
  /** What FreeRADIUS last refused that name. */
  readonly reject: DiagnosedReject | null;
  /** The newest session, open or ended. */
  readonly lastSession: DiagnosedSession | null;
}

export interface DiagnosedLogin {
  readonly isRetired: boolean;
  readonly macLock: string | null;
  readonly staticIpv4: string | null;
  /** The last change of password, lock or address by hand. */
  readonly editedAt: Date | null;
}

export type DiagnosedDecision =
  | {
      readonly ok: true;
      readonly access: 'full' | 'throttled' | 'walled_garden' | 'denied';
      readonly reason: string;
      /** The sentence of domain/access-sentence.ts. */
      readonly sentence: string;
      /** When this became so; null where nothing was written down yet. */
      readonly changedAt: Date | null;
    }
  | { readonly ok: false; readonly error: string };

export interface DiagnosedRows {
  readonly total: number;
  /** Attributes whose row is missing, different or too many. */
  readonly wrong: readonly string[];
}

export interface DiagnosedRouter {
  readonly name: string;
  readonly isRemoved: boolean;
  /** The weakest of the FreeRADIUS hosts; null where no agent has seen it. */
  readonly level: ClientLevel | null;
  readonly error: string | null;
  readonly breaker: 'closed' | 'open' | 'unused';
  readonly lastAccountingAt: Date | null;
  readonly lastAnswerAt: Date | null;
}

export interface DiagnosedReject {
  readonly at: Date;
  readonly reason: string;
  readonly mac: string;
  /** Null where it did not come from a router: a test from here. */
  readonly routerName: string | null;
}

export interface DiagnosedSession {
  readonly isOpen: boolean;
  readonly startedAt: Date | null;
  readonly heardAt: Date | null;
  readonly stoppedAt: Date | null;
  readonly terminateCause: string;
  readonly mac: string;
  readonly framedIp: string;
  readonly routerName: string | null;
  readonly interimSeconds: number;
  /** How far the network is with an open one; null for an ended one. */
  readonly evidence: Evidence | null;
  readonly isSessionParked: boolean;
}
