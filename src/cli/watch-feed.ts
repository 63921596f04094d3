import type { Db } from '../db/knex.ts';
import { sqlInstant } from '../db/knex.ts';
import {
  changesAfter,
  newestIds,
  packetsAfter,
  type PacketEvent,
  rejectsAfter,
  sessionsAfter,
  sessionsStoppedSince,
  type SessionEvent,
  type Watermarks,
} from '../db/watch.ts';
import { duration } from './format.ts';

export interface WatchEvent {
  at: Date;
  kind: 'online' | 'offline' | 'reject' | 'access' | 'packet' | 'answer';
  username: string;
  text: string;
  /** The same as data. */
  facts: Record<string, unknown>;
}

const most = 1000;
/** Ids become visible when their transactions commit, which need not be in their order: so far back is read again. */
const lookBack = 100n;
const lookBackMs = 5000;

/** What is new since the last look. Each look is a fixed number of bounded queries. */
export class WatchFeed {
  private readonly db: Db;
  private readonly marks: Watermarks;
  private readonly seen = new Set<string>();
  private readonly unanswered = new Map<string, PacketEvent>();
  private readonly beganAt: Date;

  private constructor(db: Db, marks: Watermarks, beganAt: Date) {
    this.db = db;
    this.marks = marks;
    this.beganAt = beganAt;
  }

  /** From now on: what is there already is not told, but for the last `tail` of each kind, a hundred at most. */
  static async open(db: Db, now: Date, tail: number): Promise<WatchFeed> {
    const feed = new WatchFeed(db, await newestIds(db), now);
    await feed.remember(BigInt(Math.min(tail, Number(lookBack))));
    return feed;
  }

  /** Marks what lies before the watermarks as told, but for the last few, so that looking back tells only what is new. */
  private async remember(tail: bigint): Promise<void> {
    const note = (prefix: string, name: keyof Watermarks, ids: readonly string[]) => {
      for (const id of ids) if (BigInt(id) <= this.marks[name] - tail) this.seen.add(`${prefix}${id}`);
    };
    const sessions = await sessionsAfter(this.db, this.from('session'), most);
    const rejects = await rejectsAfter(this.db, this.from('reject'), most);
    const changes = await changesAfter(this.db, this.from('change'), most);
    const packets = await packetsAfter(this.db, this.from('packet'), [], most);
    note(
      's',
      'session',
      sessions.map((row) => row.radacctid),
    );
    note(
      'r',
      'reject',
      rejects.map((row) => row.id),
    );
    note(
      'c',
      'change',
      changes.map((row) => row.id),
    );
    note(
      'p',
      'packet',
      packets.map((row) => row.id),
    );
  }

  async look(now: Date): Promise<WatchEvent[]> {
    const events = [
      ...(await this.started()),
      ...(await this.stopped(now)),
      ...(await this.rejected()),
      ...(await this.changed()),
      ...(await this.packets()),
    ];
    this.forget();
    return events.sort((a, b) => a.at.getTime() - b.at.getTime());
  }

  private isNew(key: string): boolean {
    if (this.seen.has(key)) return false;
    this.seen.add(key);
    return true;
  }

  /** Keeps the newest keys only: the oldest are far behind what is looked back at. */
  private forget(): void {
    const surplus = this.seen.size - 20_000;
    if (surplus <= 0) return;
    for (const key of [...this.seen].slice(0, surplus)) this.seen.delete(key);
  }

  private from(name: keyof Watermarks): bigint {
    return this.marks[name] > lookBack ? this.marks[name] - lookBack : 0n;
  }

  private reached(name: keyof Watermarks, id: string): void {
    if (BigInt(id) > this.marks[name]) this.marks[name] = BigInt(id);
  }

  private async started(): Promise<WatchEvent[]> {
    const rows = await sessionsAfter(this.db, this.from('session'), most);
    for (const row of rows) this.reached('session', row.radacctid);
    return rows
      .filter((row) => this.isNew(`s${row.radacctid}`))
      .map((row) => ({
        at: row.startedAt ?? this.beganAt,
        kind: 'online' as const,
        username: row.username,
        text: `online   ${row.username}  ${row.framedIp} on ${row.routerName}`,
        facts: sessionFacts(row),
      }));
  }

  private async stopped(now: Date): Promise<WatchEvent[]> {
    const since = Math.max(now.getTime() - lookBackMs, this.beganAt.getTime() - 1000);
    const rows = await sessionsStoppedSince(this.db, sqlInstant(new Date(since)).slice(0, 19), most);
    return rows
      .filter((row) => this.isNew(`e${row.radacctid}`))
      .map((row) => ({
        at: row.stoppedAt ?? now,
        kind: 'offline' as const,
        username: row.username,
        text: `offline  ${row.username}  ${row.cause === '' ? 'no cause given' : row.cause}, after ${duration(row.seconds * 1000)}, on ${row.routerName}`,
        facts: sessionFacts(row),
      }));
  }

  private async rejected(): Promise<WatchEvent[]> {
    const rows = await rejectsAfter(this.db, this.from('reject'), most);
    for (const row of rows) this.reached('reject', row.id);
    return rows
      .filter((row) => this.isNew(`r${row.id}`))
      .map((row) => ({
        at: row.at,
        kind: 'reject' as const,
        username: row.username,
        text: `reject   ${row.username}  ${row.reason}, ${row.mac} on ${row.routerName ?? row.routerAddress}`,
        facts: { ...row },
      }));
  }

  private async changed(): Promise<WatchEvent[]> {
    const rows = await changesAfter(this.db, this.from('change'), most);
    for (const row of rows) this.reached('change', row.id);
    return rows
      .filter((row) => this.isNew(`c${row.id}`))
      .map((row) => ({
        at: row.at,
        kind: 'access' as const,
        username: row.username,
        text: `access   ${row.username}  ${row.from ?? 'new'} -> ${row.to} (${row.reason})`,
        facts: { ...row },
      }));
  }

  private async packets(): Promise<WatchEvent[]> {
    const rows = await packetsAfter(
      this.db,
      this.from('packet'),
      [...this.unanswered.keys()].slice(-100),
      most,
    );
    const events: WatchEvent[] = [];
    for (const row of rows) {
      this.reached('packet', row.id);
      if (this.isNew(`p${row.id}`)) events.push(packetEvent(row));
      else if (!this.unanswered.has(row.id)) continue;
      const isOpen = row.outcome === 'pending';
      if (!isOpen && this.isNew(`a${row.id}`)) events.push(answerEvent(row));
      if (isOpen) this.unanswered.set(row.id, row);
      else this.unanswered.delete(row.id);
    }
    return events;
  }
}

function sessionFacts(row: SessionEvent): Record<string, unknown> {
  return { ...row };
}

function packetEvent(row: PacketEvent): WatchEvent {
  return {
    at: row.sentAt,
    kind: 'packet',
    username: row.username,
    text: `packet   ${row.username}  ${row.action} to ${row.routerName} (${row.why})`,
    facts: { ...row },
  };
}

function answerEvent(row: PacketEvent): WatchEvent {
  const tookMs = row.roundTripUs === null ? '' : ` in ${(row.roundTripUs / 1000).toFixed(1)} ms`;
  const cause = row.outcome === 'nak' ? `, Error-Cause ${row.errorCause ?? 'none'}` : '';
  return {
    at: row.roundTripUs === null ? row.sentAt : new Date(row.sentAt.getTime() + row.roundTripUs / 1000),
    kind: 'answer',
    username: row.username,
    text: `answer   ${row.username}  ${row.action}: ${row.outcome}${cause}${tookMs}`,
    facts: { ...row },
  };
}
