import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { disk } from '../../agent/index.ts';
import { readPace } from '../../agent/pace.ts';
import { planRenewal } from '../../agent/plan-renewal.ts';
import { openStateFolder } from '../../agent/state/state-folder.ts';
import { toHex } from '../../core/bytes.ts';
import { readCertificate } from '../../x509/certificate.ts';
import { nameToText } from '../../x509/name.ts';
import { readSettings } from './with-agent.ts';

/** What `birthmark agent status` tells; times in ISO 8601. */
export interface AgentStatus {
  readonly state: 'none' | 'enrolling' | 'enrolled' | 'renewing';
  readonly url: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly trust: string;
  readonly subject?: string;
  readonly serial?: string;
  readonly notAfter?: string;
  readonly renewAt?: string;
  /** Whether who uses the credential was told of it. */
  readonly announced?: boolean;
  readonly failures: number;
  readonly problem?: string;
  readonly retryAt?: string;
  /** SHA-256 of the roots. */
  readonly roots: readonly string[];
}

/** Looks and changes nothing, so it needs no lock. */
export function showStatus(folder: string): AgentStatus {
  const { url } = readSettings(folder);
  const state = openStateFolder(folder, disk, () => new Uint8Array());
  const pace = readPace(state.readText('pace.json'));
  const [current, next] = [state.current(), state.next()];
  const leaf = current?.chain()?.[0];
  const iso = (time: number) => new Date(time).toISOString();
  const keyFile = join(folder, 'current/key.pem');
  const begun = next !== undefined && next.name !== current?.name;
  const isFirst = !current || (current.has('on-trial') && !state.previous());
  const isTrying = begun || current?.has('on-trial') === true;
  const about = () => {
    if (!leaf || !current) return {};
    const { tbs } = readCertificate(leaf);
    const renewAt = planRenewal(leaf, pace.window?.of === current.name ? pace.window : undefined);
    return {
      certificate: join(folder, 'current/certificate.pem'),
      ...(existsSync(keyFile) && { key: keyFile }),
      subject: nameToText(tbs.subject),
      serial: toHex(tbs.serial),
      notAfter: iso(tbs.notAfter.at),
      announced: current.has('announced'),
      ...(Number.isFinite(renewAt) && { renewAt: iso(renewAt) }),
    };
  };
  return {
    state: isTrying ? (isFirst ? 'enrolling' : 'renewing') : leaf ? 'enrolled' : 'none',
    url,
    trust: state.trustFile,
    ...about(),
    failures: pace.failures,
    ...(pace.problem !== undefined && { problem: pace.problem }),
    ...(pace.retryAt !== undefined && { retryAt: iso(pace.retryAt) }),
    roots: state
      .readCertificates('trust.pem')
      .map((der) => new X509Certificate(der).fingerprint256.replaceAll(':', '').toLowerCase()),
  };
}
