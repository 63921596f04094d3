import type { DialMethod } from './passwords.ts';
import type { DialOutcome, LabRouter } from './router.ts';

export interface CpeLogin {
  readonly username: string;
  readonly password: string;
  readonly mac?: string | undefined;
  readonly method?: DialMethod | undefined;
  readonly usage?: number | undefined;
}

export type CpeState = 'off' | 'waiting' | 'dialing' | 'online';

export interface CpeView {
  readonly username: string;
  readonly router: string | undefined;
  readonly state: CpeState;
  /** The lab's key of its session. */
  readonly session: string | undefined;
  /** How its last dial ended. */
  readonly last: string | undefined;
  readonly replyMessage: string | undefined;
  readonly nextDialInMs: number | undefined;
}

/** A subscriber's PPPoE client: dials, stays, and dials again when dropped or refused, waiting longer each time. */
export class Cpe {
  login: CpeLogin;
  private readonly router: () => LabRouter | undefined;
  private readonly waits: readonly [number, number];
  private state: CpeState = 'off';
  private sessionKey: string | undefined;
  private last: string | undefined;
  private replyMessage: string | undefined;
  private failures = 0;
  private timer: NodeJS.Timeout | undefined;
  private dueAtMs = 0;
  // Each start and stop begins a new life: what an older dial brings is not ours any more.
  private life = 0;

  /** `waits`: the first and the longest wait between dials, in ms. */
  constructor(login: CpeLogin, router: () => LabRouter | undefined, waits: readonly [number, number]) {
    this.login = login;
    this.router = router;
    this.waits = waits;
  }

  /** Switches it on; it dials after `afterMs`. */
  start(afterMs: number): void {
    if (this.state === 'online' || this.state === 'dialing') return;
    this.life++;
    this.failures = 0;
    this.wait(afterMs);
  }

  /** Switches it off: a session ends with a Stop. */
  stop(): void {
    this.life++;
    clearTimeout(this.timer);
    this.state = 'off';
    if (this.sessionKey !== undefined) this.router()?.hangUp(this.sessionKey);
    this.sessionKey = undefined;
  }

  view(): CpeView {
    return {
      username: this.login.username,
      router: this.router()?.name,
      state: this.state,
      session: this.sessionKey,
      last: this.last,
      replyMessage: this.replyMessage,
      nextDialInMs:
        this.state === 'waiting' ? Math.max(0, Math.round(this.dueAtMs - performance.now())) : undefined,
    };
  }

  private wait(ms: number): void {
    clearTimeout(this.timer);
    this.state = 'waiting';
    this.sessionKey = undefined;
    this.dueAtMs = performance.now() + ms;
    this.timer = setTimeout(() => void this.dial(), ms);
  }

  private async dial(): Promise<void> {
    const router = this.router();
    const { life } = this;
    this.state = 'dialing';
    const outcome: DialOutcome =
      router === undefined
        ? { ok: false, why: 'timeout' }
        : await router.dial({
            ...this.login,
            onDrop: (cause, isAtOnce) => this.dropped(life, cause, isAtOnce),
          });
    if (life !== this.life) {
      // Switched off in the meantime: nobody is there to use the session.
      if (outcome.ok) router?.hangUp(outcome.session.key);
      return;
    }
    this.last = outcome.ok ? 'accepted' : outcome.why;
    this.replyMessage = outcome.ok || outcome.why !== 'reject' ? undefined : outcome.replyMessage;
    if (!outcome.ok) {
      this.wait(this.backoffMs());
      return;
    }
    this.failures = 0;
    this.state = 'online';
    this.sessionKey = outcome.session.key;
  }

  private dropped(life: number, cause: string, isAtOnce: boolean): void {
    if (life !== this.life) return;
    this.last = cause;
    this.wait(isAtOnce ? 0 : this.backoffMs());
  }

  /** Doubles up to the longest wait, spread by a quarter so that a router's subscribers do not come back all at once. */
  private backoffMs(): number {
    const [first, longest] = this.waits;
    const base = Math.min(first * 2 ** this.failures, longest);
    this.failures = Math.min(this.failures + 1, 16);
    return base * (0.75 + Math.random() * 0.5);
  }
}
