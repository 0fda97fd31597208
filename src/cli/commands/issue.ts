import { type Command, Option } from 'commander';
import Type from 'typebox';
import { toBase64 } from '../../core/bytes.ts';
import { writeDurably } from '../../core/durable-file.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { schemaParser } from '../../core/schema.ts';
import { ROLES } from '../../enroll/ports.ts';
import { withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, repeated, type Shell } from '../command.ts';
import { readAsText } from '../input-file.ts';

interface IssueOptions extends CommonOptions {
  readonly profile: string;
  readonly csr: string;
  readonly serialNumber?: string;
  readonly hwType?: string;
  readonly hwSerialNum?: string;
  readonly name?: string;
  readonly dns?: readonly string[];
  readonly ip?: readonly string[];
  readonly role?: string;
  readonly out?: string;
  readonly chain?: boolean;
}

const parseIssued = schemaParser(
  Type.Object({
    serial: Type.String(),
    certificate: Type.String(),
    chain: Type.Array(Type.String()),
    notGranted: Type.Array(Type.String()),
  }),
  'internal',
);

export function issueCommand(shell: Shell): Command {
  return newCommand(
    'issue',
    'issue one certificate by hand',
    'birthmark issue --profile server --dns broker.example --csr broker.csr --out broker.pem --chain',
  )
    .requiredOption('--profile <profile>', 'idevid, ldevid, server, operator, or one of your own')
    .requiredOption('--csr <file>', 'the CSR, PEM or DER')
    .option('--serial-number <sn>', "device profiles: the device's serial number")
    .option('--hw-type <oid>', 'device profiles: hwType of the hardwareModuleName')
    .option('--hw-serial-num <text>', 'device profiles: hwSerialNum of the hardwareModuleName')
    .option('--dns <name>', 'server: a DNS name (repeat for more)', repeated)
    .option('--ip <address>', 'server: an IP address (repeat for more)', repeated)
    .option('--name <name>', 'server, operator: who holds it (default: the first DNS name or address)')
    .addOption(new Option('--role <role>', 'operator: what it signs in as').choices([...ROLES]))
    .option('--out <file>', 'write the certificate there (default: standard output)')
    .option('--chain', 'add the chain below the root')
    .action(async (options: IssueOptions) => {
      const { profile, serialNumber, hwType, hwSerialNum, dns, ip, role, name } = options;
      const body = {
        profile,
        csr: readAsText(options.csr, toBase64, { code: 'bad-csr', option: '--csr' }),
        serialNumber,
        hwType,
        hwSerialNum: hwSerialNum === undefined ? undefined : Buffer.from(hwSerialNum).toString('base64'),
        name,
        dns,
        ip,
        role,
      };
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('POST', '/certificates', body),
      );
      const issued = parseIssued(answer, '');
      for (const missing of issued.notGranted) shell.note(`not granted: ${missing}`);
      const pem = options.chain ? [issued.certificate, ...issued.chain].join('') : issued.certificate;
      if (options.out !== undefined) writeOut(options.out, pem, issued.serial);
      if (options.json) shell.out(JSON.stringify(answer));
      else
        shell.out(
          options.out === undefined ? pem.trimEnd() : `wrote certificate ${issued.serial} to ${options.out}`,
        );
    });
}

/** The ledger has the certificate whatever becomes of the file: who cannot write it must hear where it is. */
function writeOut(path: string, pem: string, serial: string): void {
  try {
    writeDurably(path, pem, 0o644);
  } catch (cause) {
    throw new BirthmarkError(
      'bad-request',
      `certificate ${serial} was issued, but --out ${path} cannot be written; birthmark certificate show ${serial} prints it`,
      { cause },
    );
  }
}
