import { Command, InvalidArgumentError, Option } from 'commander';
import Type from 'typebox';
import { BirthmarkError } from '../../core/errors.ts';
import { schemaParser } from '../../core/schema.ts';
import { toPem } from '../../x509/pem.ts';
import { type CallApi, withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell } from '../command.ts';
import { readAsText } from '../input-file.ts';
import { printTable } from '../output.ts';

interface AddOptions extends CommonOptions {
  readonly ca: string;
  readonly namespace: string;
  readonly serialPattern?: string;
  readonly validity: string;
}

const parseTrusted = schemaParser(
  Type.Object({
    items: Type.Array(
      Type.Object({
        namespace: Type.String(),
        fingerprint: Type.String(),
        subject: Type.String(),
        notAfter: Type.String(),
        serialPattern: Type.Optional(Type.String()),
        validity: Type.String(),
      }),
    ),
  }),
  'internal',
);

export function trustCommand(shell: Shell): Command {
  return new Command('trust')
    .description('manufacturers whose devices may enroll here, each in a namespace of its own')
    .addCommand(addTrust(shell))
    .addCommand(listTrust(shell))
    .addCommand(removeTrust(shell));
}

function addTrust(shell: Shell): Command {
  return newCommand(
    'add',
    "trust a manufacturer's CA for the devices of one namespace",
    "birthmark trust add --ca acme-ca.pem --namespace acme --serial-pattern 'AC-*'",
  )
    .requiredOption('--ca <file>', 'its certificate, PEM or DER; a PEM file may hold several')
    .requiredOption('--namespace <name>', "what the manufacturer's devices are filed under")
    .option('--serial-pattern <glob>', 'the serial numbers that it may vouch for; * any run, ? one character')
    .addOption(
      new Option('--validity <which>', 'which certificates of a chain must not have expired')
        .choices(['all', 'leaf', 'none'])
        .default('all'),
    )
    .action(async (options: AddOptions) => {
      const { namespace, serialPattern, validity } = options;
      const certificate = readAsText(options.ca, (der) => toPem('CERTIFICATE', der), {
        code: 'bad-certificate',
        option: '--ca',
      });
      const body = { certificate, namespace, serialPattern, validity };
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('POST', '/trust', body),
      );
      if (options.json) return shell.out(JSON.stringify(answer));
      for (const { fingerprint, subject } of parseTrusted(answer, '').items)
        shell.out(`trusted for namespace ${namespace}: ${subject}  ${fingerprint}`);
    });
}

function listTrust(shell: Shell): Command {
  return newCommand('list', 'list the CAs that are trusted', 'birthmark trust list').action(
    async (options: CommonOptions) => {
      const { items } = parseTrusted(
        await withApi(homeOf(options), shell.environment, (call) => call('GET', '/trust')),
        '',
      );
      if (options.json) return shell.out(JSON.stringify(items));
      const rows = items.map(({ namespace, fingerprint, subject, notAfter, serialPattern, validity }) => [
        namespace,
        fingerprint,
        notAfter,
        serialPattern ?? '*',
        validity,
        subject,
      ]);
      printTable(
        shell,
        ['namespace', 'fingerprint', 'not after', 'serial numbers', 'validity', 'subject'],
        rows,
      );
    },
  );
}

function removeTrust(shell: Shell): Command {
  return newCommand('remove', 'trust a CA no longer', 'birthmark trust remove 3f9a01bc')
    .argument(
      '<fingerprint>',
      'SHA-256 of its certificate, or its first digits, at least 8',
      fingerprintStart,
    )
    .action(async (start: string, options: CommonOptions) => {
      const fingerprint = await withApi(homeOf(options), shell.environment, async (call) => {
        const found = await findFingerprint(call, start);
        await call('DELETE', `/trust/${found}`);
        return found;
      });
      shell.out(
        options.json ? JSON.stringify({ removed: fingerprint }) : `trusted no longer: ${fingerprint}`,
      );
    });
}

/** As OpenSSL writes it too, in capitals with colons. */
function fingerprintStart(text: string): string {
  const digits = text.replaceAll(':', '').toLowerCase();
  if (/^[0-9a-f]{8,64}$/.test(digits)) return digits;
  throw new InvalidArgumentError('It is 8 to 64 hexadecimal digits.');
}

async function findFingerprint(call: CallApi, start: string): Promise<string> {
  const { items } = parseTrusted(await call('GET', '/trust'), '');
  const [found, ...more] = items.filter(({ fingerprint }) => fingerprint.startsWith(start));
  if (found && more.length === 0) return found.fingerprint;
  if (!found)
    throw new BirthmarkError('not-found', `no trusted CA has a fingerprint that begins with ${start}`);
  throw new BirthmarkError(
    'bad-request',
    `${more.length + 1} trusted CAs have fingerprints that begin with ${start}; give more digits`,
  );
}
