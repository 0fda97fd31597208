import { Command } from 'commander';
import { BirthmarkError } from '../../core/errors.ts';
import { verifyWith } from '../../x509/algorithms.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { type Crl, type ListedCertificate, readCrl } from '../../x509/crl-reader.ts';
import { CRL_REASON_NAMES } from '../../x509/crl-reason.ts';
import type { IssuingDistributionPoint } from '../../x509/distribution-point.ts';
import { GENERAL_NAME } from '../../x509/general-name.ts';
import { nameToText } from '../../x509/name.ts';
import { importPublicKey } from '../../x509/public-key.ts';
import { newCommand, type Shell } from '../command.ts';
import { readBlocks } from '../input-file.ts';
import { printTable } from '../output.ts';

interface ShowOptions {
  readonly issuer?: string;
  readonly json?: boolean;
}

const EXAMPLE = 'birthmark crl show --issuer idevid-ca.pem idevid.crl';

export function crlCommand(shell: Shell): Command {
  const crl = new Command('crl').description('look at certificate revocation lists');
  crl.addCommand(
    newCommand('show', 'what a list says of itself, and its entries (RFC 5280 §5)', EXAMPLE)
      .argument('<file>', 'full list, delta or shard, of anybody, PEM or DER; - for standard input')
      .option('--issuer <file>', 'certificate of the authority: the signature is verified too, PEM or DER')
      .action((file: string, options: ShowOptions) => show(shell, file, options)),
  );
  return crl;
}

function show(shell: Shell, file: string, { issuer, json }: ShowOptions): void {
  for (const der of readBlocks(file, 'X509 CRL', { code: 'bad-der' })) {
    const crl = readCrl(der);
    if (issuer !== undefined) refuseForged(crl, issuer);
    const facts = describe(crl);
    if (json) {
      shell.out(JSON.stringify({ ...facts, entries: [...crl.list()].map(describeEntry) }));
      continue;
    }
    for (const [name, value] of Object.entries(facts))
      if (value !== undefined) shell.out(`${name.padEnd(12)} ${String(value)}`);
    const entries = [...crl.list()].map(describeEntry);
    if (entries.length === 0) continue;
    const rows = entries.map((one) => [one.serial, one.revokedAt, one.reason, one.invalidityDate ?? '']);
    printTable(shell, ['serial', 'revoked', 'reason', 'invalid since'], rows);
  }
}

/** @throws BirthmarkError `certificate-refused` where the list is another's */
function refuseForged({ algorithm, signedOctets, signature }: Crl, issuer: string): void {
  const [der = Buffer.of()] = readBlocks(issuer, 'CERTIFICATE', {
    code: 'bad-certificate',
    option: '--issuer',
  });
  const key = importPublicKey(parseCertificate(der).tbs.spki);
  if (!(algorithm && verifyWith(algorithm, key, signedOctets, signature)))
    throw new BirthmarkError('certificate-refused', `the list is not signed by the key of ${issuer}`);
}

function describe(crl: Crl) {
  const kind = crl.baseNumber === undefined ? 'full' : 'delta';
  return {
    kind: crl.distributionPoint?.name === undefined ? kind : `${kind}, of one distribution point`,
    issuer: nameToText(crl.issuer),
    number: crl.number?.toString(),
    base: crl.baseNumber?.toString(),
    thisUpdate: toTime(crl.thisUpdate),
    nextUpdate: crl.nextUpdate === undefined ? undefined : toTime(crl.nextUpdate),
    scope: crl.distributionPoint && describeScope(crl.distributionPoint),
    unusable: crl.unusable,
    size: crl.size,
  };
}

function describeScope(point: IssuingDistributionPoint): string {
  const names = point.name?.form === 'full' ? point.name.names : [];
  const only = [
    point.onlyContainsUserCerts && 'end entities only',
    point.onlyContainsCaCerts && 'authorities only',
    point.onlyContainsAttributeCerts && 'attribute certificates only',
    point.indirectCrl && 'indirect',
  ];
  return [
    ...names
      .filter(({ kind }) => kind === GENERAL_NAME.uri)
      .map(({ content }) => Buffer.from(content).toString('latin1')),
    ...only.filter((part) => part !== false),
  ].join(', ');
}

function describeEntry({ serial, revokedAt, reason, invalidityAt }: ListedCertificate) {
  return {
    serial,
    revokedAt: toTime(revokedAt),
    reason: CRL_REASON_NAMES[reason ?? 0] ?? 'unspecified',
    ...(invalidityAt !== undefined && { invalidityDate: toTime(invalidityAt) }),
  };
}

function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z');
}
