import type { HygieneRoom } from './hygiene.ts';
import { type JudgedCertificate, judgeDevice, keyOf } from './judge-device.ts';
import type { HygieneScan } from './ports.ts';

/** Devices looked at in one unit of work. */
const DEVICES = 100;

/** Goes on with a scan by some devices; what was found of them before makes way in the same transaction. */
export async function judgeSlice(scan: HygieneScan, room: HygieneRoom): Promise<void> {
  const { ledger, limits, keyLimits, profiles, clock } = room;
  const { read } = ledger;
  const through = Math.min(scan.lastDevice, scan.through + DEVICES);
  const ids = Array.from({ length: through - scan.through }, (_, at) => scan.through + 1 + at);
  const devices = (await read.findDevicesById(ids)).flatMap((device) => (device ? [device] : []));
  const certificates = (await read.findByDevices(devices.map(({ id }) => id))).filter(
    ({ signature }) => signature !== undefined,
  );
  const rows = certificates.map(({ id }) => id);
  const revocations = await read.findRevocations(rows);
  const sightings = await read.findSightings(rows);
  const keys = await read.findKeys(certificates.map(({ keyHash }) => keyHash));
  const now = clock();
  const judged = certificates.map((record, at): JudgedCertificate => {
    const revocation = revocations[at];
    const lastSeenAt = sightings[at]?.lastSeenAt;
    return {
      record,
      stands: record.notAfter > now && (revocation === undefined || revocation.held),
      isLdevid: profiles.get(record.profile)?.kind === 'ldevid',
      keyBlocked: keys[at]?.blocked !== undefined,
      ...(lastSeenAt !== undefined && { lastSeenAt }),
    };
  });
  const byDevice = Map.groupBy(judged, ({ record }) => record.deviceId ?? 0);
  const findings = [...byDevice].flatMap(([deviceId, all]) =>
    judgeDevice(deviceId, all, limits, keyLimits, now),
  );
  const rsaKeys = judged.filter(({ record, stands }) => stands && keyOf(record)?.kind === 'rsa').length;
  await ledger.write(async (tx) => {
    const current = await tx.latestScan();
    // Somebody else went on with it.
    if (current?.id !== scan.id || current.through !== scan.through) return;
    await tx.dropFindings(devices.map(({ id }) => id));
    await tx.addFindings(findings);
    await tx.moveScan(scan.id, {
      through,
      devices: scan.devices + devices.length,
      certificates: scan.certificates + certificates.length,
      rsaKeys: scan.rsaKeys + rsaKeys,
    });
  });
}
