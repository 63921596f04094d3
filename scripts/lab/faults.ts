/** What a router does wrong on request. `times` packets (CoA, Disconnect or accounting), or until cleared. */
interface Common {
  readonly times?: number | undefined;
  /** Only for this Acct-Session-Id. */
  readonly sessionId?: string | undefined;
}

export type Fault = Common &
  (
    | { readonly kind: 'refuse'; readonly errorCause: number }
    /** Obeys or acknowledges nothing, says nothing. */
    | { readonly kind: 'silent' }
    | { readonly kind: 'ack_without_obeying' }
    /** Acknowledges, and does it to another live session than the one that is named; with no other, to that one. */
    | { readonly kind: 'obey_for_another' }
    /** Acknowledges a rate CoA without changing the queue; a Disconnect is obeyed. */
    | { readonly kind: 'ignore_rate' }
    /** Obeys at once, or with the reply where `obeysLate`, and replies after `ms`. */
    | { readonly kind: 'ack_late'; readonly ms: number; readonly obeysLate?: boolean | undefined }
    /** Obeys, but the reply is lost on its way. */
    | { readonly kind: 'lose_replies' }
    | { readonly kind: 'lose_stops' }
    | { readonly kind: 'lose_accounting' }
    | { readonly kind: 'stop_twice' }
    /** An interim-update follows each Stop, as from a router that reorders. */
    | { readonly kind: 'interim_after_stop' }
    /** All sessions of one second have the same Acct-Session-Id. */
    | { readonly kind: 'repeat_session_ids' }
    /** The CPE of a dropped session dials again in the same moment. */
    | { readonly kind: 'redial_at_once' }
    /** Nothing goes out, nothing that comes in is heard. */
    | { readonly kind: 'deaf' }
  );

export type FaultKind = Fault['kind'];

export const faultKinds = [
  'refuse',
  'silent',
  'ack_without_obeying',
  'obey_for_another',
  'ignore_rate',
  'ack_late',
  'lose_replies',
  'lose_stops',
  'lose_accounting',
  'stop_twice',
  'interim_after_stop',
  'repeat_session_ids',
  'redial_at_once',
  'deaf',
] as const satisfies readonly FaultKind[];

export type FaultOf<K extends FaultKind> = Extract<Fault, { kind: K }>;

/** The faults of one router: at most one of a kind and session. */
export class Faults {
  private faults: { fault: Fault; left: number }[] = [];

  set(fault: Fault): void {
    this.clear(fault.kind, fault.sessionId);
    this.faults.push({ fault, left: fault.times ?? Infinity });
  }

  /** Clears those of a kind (and session), or all. */
  clear(kind?: FaultKind, sessionId?: string): void {
    this.faults = this.faults.filter(
      ({ fault }) =>
        (kind !== undefined && fault.kind !== kind) ||
        (sessionId !== undefined && fault.sessionId !== sessionId),
    );
  }

  list(): Fault[] {
    return this.faults.map(({ fault, left }) => (left === Infinity ? fault : { ...fault, times: left }));
  }

  has(kind: FaultKind): boolean {
    return this.faults.some(({ fault }) => fault.kind === kind);
  }

  /** The fault that applies to this packet, counted as used once. */
  take<K extends FaultKind>(kind: K, sessionId?: string): FaultOf<K> | undefined {
    const found = this.faults.find(
      ({ fault }) => fault.kind === kind && (fault.sessionId === undefined || fault.sessionId === sessionId),
    );
    if (found === undefined) return undefined;
    found.left--;
    if (found.left <= 0) this.faults = this.faults.filter((each) => each !== found);
    return found.fault as FaultOf<K>;
  }
}
