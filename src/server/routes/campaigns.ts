import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { BirthmarkError } from '../../core/errors.ts';
import type { CampaignDesk } from '../../fleet/campaign/desk.ts';
import { lookAt } from '../../fleet/campaign/look.ts';
import { type CampaignRecord, MEMBER_STATES, type MemberRecord } from '../../fleet/campaign/ports.ts';
import { planFrom } from '../../fleet/campaign/presets.ts';
import { type Authenticate, assertRole } from '../caller.ts';
import { CampaignAnswer, CampaignBody, toCampaignAnswer, toGivenPlan } from './campaign-schemas.ts';
import { PageQuery, pageOf, toDateTime } from './schemas.ts';

const Params = Type.Object({ name: Type.String({ maxLength: 64 }) });
const ListQuery = Type.Object(PageQuery, { additionalProperties: false });
const MembersQuery = Type.Object(
  { ...PageQuery, state: Type.Optional(Type.Enum([...MEMBER_STATES])) },
  { additionalProperties: false },
);
const Member = Type.Object({
  namespace: Type.String(),
  serialNumber: Type.String(),
  state: Type.Enum([...MEMBER_STATES]),
  wave: Type.Integer({ description: '0: not called.' }),
  access: Type.Enum(['keep', 'due', 'held', 'revoked'], {
    description: 'What became of its old credentials at once.',
  }),
  calledAt: Type.Optional(Type.String({ format: 'date-time' })),
  renewedAt: Type.Optional(Type.String({ format: 'date-time' })),
  endedAt: Type.Optional(Type.String({ format: 'date-time' })),
});

const ApproveQuery = Type.Object({
  planned: Type.Optional(
    Type.String({
      format: 'date-time',
      description: "The plan's createdAt, as it was looked at: another plan of that name is not approved.",
    }),
  ),
});

/** The address of each act that is no more than a word. */
const ACTS = [
  ['plan', 'Go on finding the members of a campaign that is planning', 'goOnPlanning'],
  ['start', 'Start a campaign; credentials to be taken at once are, before the answer', 'start'],
  ['pause', 'Pause a campaign: nobody is called, and deadlines wait', 'pause'],
  ['resume', 'Go on with a campaign; a gate that made it pause is waived', 'resume'],
  ['rollback', 'Take back what can be taken back', 'rollBack'],
] as const;

export interface CampaignRoutes {
  readonly campaigns: CampaignDesk;
  readonly authenticate: Authenticate;
}

export function mountCampaigns(app: FastifyInstance, { campaigns, authenticate }: CampaignRoutes): void {
  const { room, acts } = campaigns;
  const answer = async (campaign: CampaignRecord, foretells = true) =>
    toCampaignAnswer(await lookAt(campaign, room, { foretells }));
  const find = async (name: string): Promise<CampaignRecord> => {
    const campaign = await room.ledger.read.findCampaign(name);
    if (campaign) return campaign;
    throw new BirthmarkError('not-found', `there is no campaign ${JSON.stringify(name).slice(0, 80)}`);
  };

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/campaigns',
    {
      schema: {
        summary: 'List campaigns, newest first',
        description: 'Without a prediction, which one campaign by its name has.',
        tags: ['campaigns'],
        querystring: ListQuery,
        response: { 200: pageOf(CampaignAnswer) },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      const page = await room.ledger.read.listCampaigns(request.query);
      return { ...page, items: await Promise.all(page.items.map((one) => answer(one, false))) };
    },
  );

  app.post<{ Body: Static<typeof CampaignBody> }>(
    '/campaigns',
    {
      schema: {
        summary: 'Plan a campaign',
        description:
          'Finds its members and shows the blast radius; nothing is done to any device before it is started. Where the state is ' +
          'planning still, ask for the plan again until it is planned.',
        tags: ['campaigns'],
        body: CampaignBody,
        response: { 200: CampaignAnswer },
      },
    },
    async (request) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin', 'operator');
      const { name } = request.body;
      return answer(await acts.plan(name, planFrom(toGivenPlan(request.body)), caller.actor));
    },
  );

  app.get<{ Params: Static<typeof Params> }>(
    '/campaigns/:name',
    {
      schema: {
        summary: 'One campaign: its plan, its progress, its blast radius, how long it will take',
        tags: ['campaigns'],
        params: Params,
        response: { 200: CampaignAnswer },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      return answer(await find(request.params.name));
    },
  );

  app.get<{ Params: Static<typeof Params>; Querystring: Static<typeof MembersQuery> }>(
    '/campaigns/:name/members',
    {
      schema: {
        summary: 'The members of a campaign',
        tags: ['campaigns'],
        params: Params,
        querystring: MembersQuery,
        response: { 200: pageOf(Member) },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      const { id } = await find(request.params.name);
      const { state, cursor, limit } = request.query;
      const after = parseAfter(cursor);
      const members = await room.ledger.read.listMembers(id, { ...(state && { state }), after, limit });
      const devices = await room.ledger.read.findDevicesById(members.map(({ deviceId }) => deviceId));
      const last = members.length === limit ? members.at(-1)?.deviceId : undefined;
      return {
        items: members.map((member, at) => toMember(member, devices[at])),
        ...(last !== undefined && { cursor: String(last) }),
      };
    },
  );

  app.post<{ Params: Static<typeof Params>; Querystring: Static<typeof ApproveQuery> }>(
    '/campaigns/:name/approve',
    {
      schema: {
        summary: "Give a second operator's word for a campaign",
        tags: ['campaigns'],
        params: Params,
        querystring: ApproveQuery,
        response: { 200: CampaignAnswer },
      },
    },
    async (request) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin', 'operator');
      const { planned } = request.query;
      const approval = {
        ...(caller.token && { madeBy: caller.token.createdBy }),
        ...(planned !== undefined && { plannedAt: Date.parse(planned) }),
      };
      return answer(await acts.approve(request.params.name, caller.actor, approval));
    },
  );

  for (const [word, summary, act] of ACTS) {
    app.post<{ Params: Static<typeof Params> }>(
      `/campaigns/:name/${word}`,
      { schema: { summary, tags: ['campaigns'], params: Params, response: { 200: CampaignAnswer } } },
      async (request) => {
        const caller = await authenticate(request);
        assertRole(caller, 'admin', 'operator');
        return answer(await acts[act](request.params.name, caller.actor));
      },
    );
  }

  app.delete<{ Params: Static<typeof Params> }>(
    '/campaigns/:name',
    {
      schema: {
        summary: 'Forget a campaign that was never started',
        tags: ['campaigns'],
        params: Params,
        response: { 204: Type.Null({ description: 'It is gone.' }) },
      },
    },
    async (request, reply) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin', 'operator');
      await acts.drop(request.params.name, caller.actor);
      return reply.status(204).send();
    },
  );
}

/** @throws BirthmarkError `bad-request` */
function parseAfter(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (/^[0-9]{1,15}$/.test(cursor)) return Number(cursor);
  throw new BirthmarkError('bad-request', 'cursor must be one that this list gave', { field: 'cursor' });
}

function toMember(
  { state, wave, access, calledAt, renewedAt, endedAt }: MemberRecord,
  device: { readonly namespace: string; readonly serialNumber: string } | undefined,
): Static<typeof Member> {
  return {
    namespace: device?.namespace ?? '',
    serialNumber: device?.serialNumber ?? '',
    state,
    wave,
    access,
    ...(calledAt !== undefined && { calledAt: toDateTime(calledAt) }),
    ...(renewedAt !== undefined && { renewedAt: toDateTime(renewedAt) }),
    ...(endedAt !== undefined && { endedAt: toDateTime(endedAt) }),
  };
}
