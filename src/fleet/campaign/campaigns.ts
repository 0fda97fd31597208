import type { Actor } from '../../core/audit.ts';
import { breathe } from '../../core/breathe.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { findMembers } from './find-members.ts';
import { assertMay, type CampaignAct, isGateCause } from './moves.ts';
import { type CampaignPlan, parseCampaignName, parsePlan, planOf } from './plan.ts';
import type { CampaignMove, CampaignRecord } from './ports.ts';
import { type CampaignRoom, PIECE } from './room.ts';
import { describeSelection } from './selection.ts';
import { shutOut } from './steps/shut-out.ts';

/** Within a request; the engine, or the next request, goes on with the rest. */
const PLAN_MS = 20_000;
const SHUT_OUT_MS = 40_000;

/** What operators do with campaigns. */
/** How somebody gives a second operator's word. */
export interface Approval {
  /** Who made the token that he comes with: nobody is another by a token that he made. */
  readonly madeBy?: Actor;
  /** When the plan was made that he means, milliseconds since the epoch: a name may be another plan's by now. */
  readonly plannedAt?: number;
}

export interface Campaigns {
  /**
   * Makes a campaign and finds its members; nothing is done to any device. Where that takes long it is `planning` still and
   * `goOnPlanning`, or the engine, finishes it.
   *
   * @throws BirthmarkError `bad-request`, `name-invalid`, `already-exists`, `profile-unknown`
   */
  plan(name: string, plan: unknown, actor: Actor): Promise<CampaignRecord>;
  goOnPlanning(name: string): Promise<CampaignRecord>;
  /**
   * Another operator's word on it.
   *
   * @throws BirthmarkError `not-found`, `campaign-state`, `forbidden`
   */
  approve(name: string, actor: Actor, approval?: Approval): Promise<CampaignRecord>;
  /**
   * Begins it. Where the old credentials are to be held or revoked at once, that is done before this returns.
   *
   * @throws BirthmarkError `not-found`, `campaign-state` (it waits for a second operator, too), `bad-request` (nothing to replace)
   */
  start(name: string, actor: Actor): Promise<CampaignRecord>;
  /** @throws BirthmarkError `not-found`, `campaign-state` */
  pause(name: string, actor: Actor, because?: string): Promise<CampaignRecord>;
  /** A gate that made it pause is waived. @throws BirthmarkError `not-found`, `campaign-state` */
  resume(name: string, actor: Actor): Promise<CampaignRecord>;
  /** Begins to take back what can be taken back; the engine does it. @throws BirthmarkError `not-found`, `campaign-state` */
  rollBack(name: string, actor: Actor): Promise<CampaignRecord>;
  /** Forgets one that was never started. @throws BirthmarkError `not-found`, `campaign-state` */
  drop(name: string, actor: Actor): Promise<void>;
}

export function createCampaigns(room: CampaignRoom): Campaigns {
  const { ledger, clock } = room;

  const find = async (name: string): Promise<CampaignRecord> => {
    const campaign = await ledger.read.findCampaign(name);
    if (campaign) return campaign;
    throw unknown(name);
  };

  /** Judges and moves in one unit of work: of two who do the same one is refused. */
  async function act(
    name: string,
    word: CampaignAct,
    actor: Actor,
    move: (campaign: CampaignRecord, now: number) => CampaignMove,
    facts: Readonly<Record<string, string | number>> = {},
  ): Promise<CampaignRecord> {
    await ledger.write(async (tx) => {
      const campaign = await tx.findCampaign(name);
      if (!campaign) throw unknown(name);
      assertMay(word, campaign);
      const now = clock();
      await tx.moveCampaign(campaign.id, move(campaign, now));
      await tx.appendAudit([
        {
          at: now,
          actor,
          action: `campaign.${word}`,
          subject: `campaign:${name}`,
          outcome: 'done',
          ...(Object.keys(facts).length > 0 && { facts }),
        },
      ]);
    });
    return find(name);
  }

  /** As long as an authority issues, who renews gets a certificate of it again, and nobody would ever have followed. */
  async function refuseCurrent({ preset, selection }: CampaignPlan): Promise<void> {
    if (preset !== 'rotate-ca') return;
    const found = (await ledger.read.listAuthorities()).find(({ name }) => name === selection.issuer);
    if (found && found.state !== 'current') return;
    throw new BirthmarkError(
      'bad-request',
      found
        ? `authority ${found.name} issues still; let the next generation issue first (birthmark authority rotate, activate)`
        : `there is no authority ${selection.issuer} (birthmark authority list)`,
      { field: 'plan.selection.issuer' },
    );
  }

  const planOn = async (name: string): Promise<CampaignRecord> => {
    const until = clock() + PLAN_MS;
    for (let campaign = await find(name); ; campaign = await find(name)) {
      if (campaign.state !== 'planning' || clock() > until) return campaign;
      await findMembers(campaign, room);
      await breathe();
    }
  };

  return {
    async plan(name, value, actor) {
      parseCampaignName(name);
      const plan = parsePlan(value);
      await refuseCurrent(plan);
      const scanEnd = await ledger.read.signedThrough();
      const now = clock();
      const campaign = await ledger.write(async (tx) => {
        const added = await tx.addCampaign({
          name,
          plan: JSON.stringify(plan),
          createdAt: now,
          createdBy: actor,
          scanEnd,
          scannedThrough: 0,
        });
        await tx.appendAudit([
          {
            at: now,
            actor,
            action: 'campaign.plan',
            subject: `campaign:${name}`,
            outcome: 'done',
            facts: { selection: describeSelection(plan.selection), reason: plan.reason, access: plan.access },
          },
        ]);
        return added;
      });
      try {
        return await planOn(name);
      } catch (error) {
        // What it selects cannot be: nobody should find half a campaign later.
        if (
          error instanceof BirthmarkError &&
          (error.code === 'not-found' || error.code === 'profile-unknown')
        )
          await ledger.write((tx) => tx.dropCampaign(campaign.id, PIECE));
        throw error;
      }
    },
    goOnPlanning: planOn,
    approve: (name, actor, { madeBy, plannedAt } = {}) =>
      act(name, 'approve', actor, ({ createdBy, createdAt, approvedBy }, now) => {
        if (plannedAt !== undefined && plannedAt !== createdAt)
          throw new BirthmarkError(
            'campaign-state',
            `campaign ${name} was planned at ${new Date(createdAt).toISOString()}, not when you said: it is another plan of that name; look at it first`,
            { field: 'planned' },
          );
        if (approvedBy !== undefined)
          throw new BirthmarkError(
            'campaign-state',
            `campaign ${name} was approved by ${approvedBy} already`,
          );
        if (createdBy === actor || createdBy === madeBy)
          throw new BirthmarkError(
            'forbidden',
            `${createdBy} planned it: another operator must approve it, and not by a token that ${createdBy} made`,
          );
        return { approvedAt: now, approvedBy: actor };
      }),
    async start(name, actor) {
      const members = await ledger.read.tallyCampaign((await find(name)).id);
      const started = await act(name, 'start', actor, (campaign, now) => {
        if (planOf(campaign).approval && campaign.approvedBy === undefined)
          // Not `approval-waiting`: its 202 would tell a script that this one did begin.
          throw new BirthmarkError(
            'campaign-state',
            `campaign ${name} waits for a second operator (birthmark campaign approve ${name})`,
          );
        if (members.length === 0)
          throw new BirthmarkError('bad-request', `campaign ${name} has no members: nothing to replace`);
        return { state: 'running', startedAt: now, startedBy: actor, lookedAt: now };
      });
      await shutOut(started, room, clock() + SHUT_OUT_MS);
      return find(name);
    },
    pause: (name, actor, because = `${actor} said so`) =>
      act(name, 'pause', actor, (_, now) => ({ state: 'paused', pausedAt: now, pausedBecause: because })),
    resume: (name, actor) =>
      act(name, 'resume', actor, ({ pausedAt, pausedBecause, pausedMs, wave, waveCalledAt }, now) => ({
        state: 'running',
        pausedAt: undefined,
        pausedBecause: undefined,
        pausedMs: pausedMs + Math.max(0, now - (pausedAt ?? now)),
        creditAt: now,
        lookedAt: now,
        // The wait for a gate begins anew, and who resumes after a gate has seen what came of the wave.
        ...(waveCalledAt !== undefined && { waveCalledAt: now }),
        ...(isGateCause(pausedBecause) && { gatePassed: wave }),
      })),
    rollBack: (name, actor) =>
      act(name, 'rollback', actor, () => ({
        state: 'ending',
        pausedAt: undefined,
        pausedBecause: undefined,
      })),
    async drop(name, actor) {
      const { id } = await act(name, 'drop', actor, () => ({ state: 'ending' }));
      while (!(await ledger.write((tx) => tx.dropCampaign(id, PIECE)))) await breathe();
    },
  };
}

function unknown(name: string): BirthmarkError {
  return new BirthmarkError(
    'not-found',
    `there is no campaign ${JSON.stringify(name).slice(0, 80)} (birthmark campaign list)`,
  );
}
