import Type, { type Static } from 'typebox';
import { PLAIN_TEXT } from '../core/identifiers.ts';
import { schemaParser } from '../core/schema.ts';
import { KEY_TYPES } from './key/key-type.ts';

const Text = (description: string) => Type.String({ minLength: 1, pattern: PLAIN_TEXT, description });
const closed = { additionalProperties: false };

export const SettingsSchema = Type.Object(
  {
    url: Text('The authority: https://pki.example.com:8443.'),
    label: Type.Optional(Text("EST's label in the path.")),
    serialNumber: Type.Optional(Text('Of the device, for a ticket; an IDevID says it by itself.')),
    ticketFile: Type.Optional(Text('Holds a ticket, mode 0600. Read when it is needed.')),
    idevid: Type.Optional(
      Type.Object(
        {
          certificateFile: Text('The IDevID and the CAs below its root, PEM.'),
          keyFile: Type.Optional(Text('Its private key, PEM, mode 0600.')),
          keyLabel: Type.Optional(Text('Its label in the token.')),
        },
        closed,
      ),
    ),
    keyType: Type.Optional(
      Type.Enum([...KEY_TYPES], { description: 'What the server asks for, else ec-p256.' }),
    ),
    token: Type.Optional(
      Type.Object(
        {
          module: Text("The token's PKCS#11 library."),
          label: Text("The token's label."),
          pinFile: Text('Holds its PIN, mode 0600; an absolute path.'),
          engine: Type.Optional(Text("OpenSSL's engine for PKCS#11, for TLS with the token's keys.")),
        },
        { ...closed, description: 'Keys are made and stay in a PKCS#11 token.' },
      ),
    ),
    proxy: Type.Optional(
      Type.Object(
        {
          url: Text('socks5h://[USER@]HOST:PORT or http://[USER@]HOST:PORT.'),
          passwordFile: Type.Optional(Text("Holds the user's password, mode 0600.")),
        },
        closed,
      ),
    ),
    channelBinding: Type.Optional(
      Type.Boolean({
        description: 'false: through a proxy that ends TLS, where a CSR cannot be bound to it.',
      }),
    ),
    verifyCommand: Type.Optional(
      Text('Must end with 0 where a new credential works, with 75 where nobody answers.'),
    ),
    verifyMqtt: Type.Optional(
      Type.Object(
        { url: Text('mqtts://HOST[:PORT].'), clientId: Type.Optional(Text('The serial number, else.')) },
        { ...closed, description: 'A broker that must take a new credential.' },
      ),
    ),
    lookEveryMinutes: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1440,
        description:
          'How often it looks at least whether it is to renew earlier; else as the server says (Retry-After).',
      }),
    ),
    afterChange: Type.Optional(Text('Run after the credential or the roots changed.')),
    acceptUnlinkedRoots: Type.Optional(
      Type.Boolean({ description: 'Takes a new root for the channel alone (RFC 7030 §4.1.3).' }),
    ),
  },
  closed,
);

/** What `birthmark agent enroll` wrote down for `renew`, `run` and `status`. No secret is in it: secrets are in files that it names. */
export type Settings = Static<typeof SettingsSchema>;

/** @throws BirthmarkError `config-invalid` */
export const parseSettings = schemaParser(SettingsSchema, 'config-invalid');
