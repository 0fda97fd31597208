import { X509Certificate } from 'node:crypto';
import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import { BirthmarkError } from '../../core/errors.ts';
import { type AuthorityKeyAlgorithm, KEY_ALGORITHMS } from '../../keys/key-algorithm.ts';
import { type CommonOptions, homeOf, newCommand, repeated, type Shell } from '../command.ts';
import type { Home } from '../home.ts';
import { type InitResult, initHome } from '../init-home.ts';
import { loopbackWarning } from '../serve/serve.ts';

const LOOPBACK_URL = 'http://127.0.0.1:8080';
const LOOPBACK_NAMES = ['localhost', '127.0.0.1'];

export interface InitOptions extends CommonOptions {
  readonly publicUrl?: string;
  readonly tlsName?: readonly string[];
  readonly organization?: string;
  readonly algorithm?: AuthorityKeyAlgorithm;
}

export function initCommand(shell: Shell): Command {
  return newCommand(
    'init',
    'make a home: root, three issuing authorities, keys, configuration',
    'birthmark init --public-url http://pki.example.com --tls-name pki.example.com',
  )
    .option('--public-url <url>', 'what certificates name: where issuers, CRLs and OCSP are found')
    .option('--tls-name <name>', 'DNS name or IP address of the TLS listener (repeat for more)', repeated)
    .option('--organization <name>', 'O of every subject')
    .addOption(new Option('--algorithm <name>', "the authorities' keys").choices([...KEY_ALGORITHMS]))
    .addHelpText(
      'after',
      '\nA birthmark.toml that is in the folder already decides instead of the options: names, validity and algorithms of each\n' +
        'authority are in it. The passphrase of the keys comes from BIRTHMARK_PASSPHRASE, or from keys/passphrase, or is made.',
    )
    .action(async (options: InitOptions) => {
      const home = homeOf(options);
      reportInit(shell, options, home, await makeHome(home, options, shell.environment));
    });
}

/** Makes the home that the options describe, or leaves the one that is there. */
export function makeHome(
  home: Home,
  options: InitOptions,
  environment: NodeJS.ProcessEnv,
): Promise<InitResult> {
  return initHome(
    home,
    {
      publicUrl: parsePublicUrl(options.publicUrl ?? LOOPBACK_URL),
      tlsNames: [...(options.tlsName ?? []), ...LOOPBACK_NAMES].filter(
        (name, at, all) => all.indexOf(name) === at,
      ),
      organization: options.organization ?? defaultOrganization(),
      algorithm: options.algorithm ?? 'ec-p256',
    },
    environment,
  );
}

function defaultOrganization(): string {
  const machine = hostname()
    .replace(/[^A-Za-z0-9.-]/g, '')
    .slice(0, 40);
  return machine === '' ? 'Birthmark' : `Birthmark ${machine}`;
}

/** @throws BirthmarkError `bad-request` */
function parsePublicUrl(text: string): string {
  const url = URL.parse(text);
  if (
    url &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.search === '' &&
    url.hash === '' &&
    url.username === ''
  ) {
    return text.replace(/\/+$/, '');
  }
  throw new BirthmarkError(
    'bad-request',
    `--public-url ${text} is no http or https URL without query (example: http://pki.example.com)`,
  );
}

export function reportInit(shell: Shell, options: CommonOptions, home: Home, result: InitResult): void {
  const root = result.authorities.find(({ name }) => name === 'root');
  const fingerprint = root && new X509Certificate(root.certificate).fingerprint256;
  const { publicUrl } = result.loaded.config;
  if (options.json) {
    shell.out(
      JSON.stringify({
        home: home.path,
        created: result.created,
        rootFingerprint: fingerprint,
        publicUrl,
        passphraseFile: result.passphraseFile,
      }),
    );
  } else if (result.created) {
    shell.out(`made a home in ${home.path}`);
    shell.out(`  authorities  ${result.authorities.map(({ name }) => name).join(', ')} (pki/*.pem)`);
    shell.out('  settings     birthmark.toml explains itself');
    shell.out(`  root SHA-256 ${fingerprint}`);
  } else
    shell.out(`there is a home in ${home.path} already; nothing was changed\n  root SHA-256 ${fingerprint}`);
  if (result.passphraseFile !== undefined) {
    shell.note(
      `note: the keys are encrypted under a passphrase that was made for you and lies in ${result.passphraseFile} (mode 0600); ` +
        'who can read both can sign. Move it to another place and name that in birthmark.toml, or give it in BIRTHMARK_PASSPHRASE.',
    );
  }
  const warning = result.created ? loopbackWarning(publicUrl) : undefined;
  if (warning !== undefined) shell.note(`warning: ${warning}`);
}
