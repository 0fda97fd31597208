import { BirthmarkError } from '../../core/errors.ts';
import { OWN_NAMESPACE } from '../../core/identifiers.ts';
import { vouchedFor } from '../select-certificates.ts';
import { keyAlgorithmOf } from './key-algorithm-of.ts';
import { planOf } from './plan.ts';
import type { CampaignFact, CampaignRecord, ScannedCredential } from './ports.ts';
import { type CampaignRoom, type CampaignTx, ldevidProfiles } from './room.ts';
import type { Selection } from './selection.ts';

/** Credentials put into rows in one unit of work. */
const AT_ONCE = 500;

/**
 * Goes on with the planning of a campaign by one slice of the ledger: credentials that its selection means become its, their devices
 * its members, and the blast radius is counted, all in the transaction that moves the place up to which was looked. So it may be
 * called again after any crash, and by several at once.
 *
 * @returns whether there is more to look at
 */
export async function findMembers(campaign: CampaignRecord, room: CampaignRoom): Promise<boolean> {
  const { ledger, clock } = room;
  const { selection, access } = planOf(campaign);
  const { items, through } = await ledger.read.scanCredentials({
    selection,
    profiles: profilesOf(selection, room),
    now: clock(),
    after: campaign.scannedThrough,
    end: campaign.scanEnd,
    ...(await narrowed(selection, room)),
  });
  const wanted = selection.keyAlgorithms && new Set<string>(selection.keyAlgorithms);
  const found = wanted
    ? items.filter(({ certificate }) => wanted.has(keyAlgorithmOf(certificate) ?? ''))
    : items;
  let after = campaign.scannedThrough;
  do {
    const piece = found.filter(({ certificate: { id } }) => id > after).slice(0, AT_ONCE);
    const last = piece.length === AT_ONCE ? piece.at(-1)?.certificate.id : undefined;
    const until = last ?? through;
    const from = after;
    const mine = await ledger.write(async (tx) => {
      const now = await tx.findCampaign(campaign.name);
      // Somebody else went on with it, or took it away.
      if (now?.id !== campaign.id || now.state !== 'planning' || now.scannedThrough !== from) return false;
      await keep(tx, campaign.id, piece, access === 'keep' ? 'keep' : 'due', room);
      const done = until >= campaign.scanEnd;
      await tx.moveCampaign(campaign.id, {
        scannedThrough: until,
        ...(done && { state: 'planned', plannedAt: clock() }),
      });
      return true;
    });
    if (!mine) break;
    after = until;
  } while (after < through);
  const now = await ledger.read.findCampaign(campaign.name);
  return now?.id === campaign.id && now.state === 'planning';
}

/** Keys and lineages are few: they are looked up. */
async function narrowed(
  { key, lineage }: Selection,
  { ledger }: CampaignRoom,
): Promise<{ readonly only?: readonly number[] }> {
  if (key === undefined && lineage === undefined) return {};
  const byKey = key === undefined ? undefined : await ledger.read.findByKey(Buffer.from(key, 'hex'));
  if (lineage === undefined) return { only: byKey?.map(({ id }) => id) ?? [] };
  const first = await ledger.read.findBySerial(Buffer.from(lineage, 'hex'));
  if (!first) throw new BirthmarkError('not-found', `no certificate here has serial ${lineage}`);
  const ids = [first, ...(await vouchedFor(ledger.read, [first]))].map(({ id }) => id);
  return { only: byKey ? ids.filter((id) => byKey.some((one) => one.id === id)) : ids };
}

/** @throws BirthmarkError `profile-unknown` */
function profilesOf({ profile, idevids }: Selection, room: CampaignRoom): readonly string[] {
  if (profile === undefined) return [...ldevidProfiles(room), ...(idevids ? room.idevidProfiles : [])];
  const kind = room.profiles.get(profile)?.kind;
  if (kind === 'ldevid' || (kind === 'idevid' && idevids)) return [profile];
  throw new BirthmarkError(
    'profile-unknown',
    `${profile} is no profile of LDevIDs here; IDevIDs are only taken where that is said (idevids)`,
    { field: 'selection.profile' },
  );
}

async function keep(
  tx: CampaignTx,
  campaignId: number,
  found: readonly ScannedCredential[],
  access: 'keep' | 'due',
  { idevidProfiles, clock }: CampaignRoom,
): Promise<void> {
  const byDevice = Map.groupBy(found, ({ device }) => device.id);
  const added = new Set(
    await tx.addMembers(
      campaignId,
      [...byDevice.keys()].map((deviceId) => ({ deviceId, access })),
    ),
  );
  await tx.addCampaignCertificates(
    campaignId,
    found.map(({ device, certificate }) => ({
      deviceId: device.id,
      certificateId: certificate.id,
      part: 'old',
    })),
  );
  const counts = newCounts();
  for (const { certificate } of found) {
    counts.add('certificate', 'all');
    counts.add('profile', certificate.profile);
  }
  const recoverable = await whoCanRecover(tx, [...added], found, idevidProfiles, clock());
  for (const [deviceId, credentials] of byDevice) {
    if (!added.has(deviceId)) continue;
    counts.add('device', 'all');
    counts.add('batch', credentials[0]?.device.batch ?? '');
    const isOurs = credentials[0]?.device.namespace === OWN_NAMESPACE;
    counts.add('recovery', recoverable.has(deviceId) ? 'idevid' : isOurs ? 'none' : 'manufacturer');
    counts.add('seen', credentials.some(({ seenAt }) => seenAt !== undefined) ? 'seen' : 'never');
  }
  await tx.countFacts(campaignId, counts.all());
}

/** Devices with an IDevID of ours that stands, on a key that is not blocked, and that is none of those to be replaced. */
async function whoCanRecover(
  tx: CampaignTx,
  deviceIds: readonly number[],
  found: readonly ScannedCredential[],
  idevidProfiles: ReadonlySet<string>,
  now: number,
): Promise<ReadonlySet<number>> {
  if (deviceIds.length === 0) return new Set();
  const selected = new Set(found.map(({ certificate }) => certificate.id));
  const idevids = (await tx.findFactsByDevices(deviceIds)).filter(
    ({ id, profile, notAfter }) => idevidProfiles.has(profile) && notAfter > now && !selected.has(id),
  );
  const takenBack = await tx.findRevocations(idevids.map(({ id }) => id));
  const keys = await tx.findKeys(idevids.map(({ keyHash }) => keyHash));
  return new Set(
    idevids.flatMap(({ deviceId }, at) =>
      deviceId === null || takenBack[at] || keys[at]?.blocked !== undefined ? [] : [deviceId],
    ),
  );
}

function newCounts() {
  const counts = new Map<string, CampaignFact>();
  return {
    add(kind: CampaignFact['kind'], name: string): void {
      const id = `${kind}/${name}`;
      counts.set(id, { kind, name, count: (counts.get(id)?.count ?? 0) + 1 });
    },
    all: (): readonly CampaignFact[] => [...counts.values()],
  };
}
