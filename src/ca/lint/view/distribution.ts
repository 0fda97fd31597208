import { TAG } from '../../../x509/der/tags.ts';
import type { ExtensionValue } from './extension-values.ts';
import { type GeneralNameView, readGeneralName, readGeneralNames } from './general-name.ts';
import { dottedOf } from './oids.ts';
import type { Tlv } from './tlv.ts';

export interface DistributionPoint {
  /** Names of fullName. */
  readonly names: readonly GeneralNameView[];
  readonly hasName: boolean;
  readonly isRelative: boolean;
  readonly hasReasons: boolean;
  /** cRLIssuer's GeneralNames. */
  readonly crlIssuer: Tlv | undefined;
}

export interface DistributionPoints extends ExtensionValue {
  readonly points: readonly DistributionPoint[];
}

/** CRLDistributionPoints of RFC 5280 §4.2.1.13, also the syntax of freshestCRL. */
export function readDistributionPoints(critical: boolean, value: Tlv | undefined): DistributionPoints {
  const points: DistributionPoint[] = [];
  let wellFormed = value?.tag === TAG.sequence;
  for (let raw = wellFormed ? value?.first : undefined; raw !== undefined; raw = raw.next) {
    if (raw.tag !== TAG.sequence) {
      wellFormed = false;
      continue;
    }
    let field = raw.first;
    const name = field?.tag === TAG.contextConstructed ? field : undefined;
    if (name !== undefined) field = field?.next;
    const hasReasons = field?.tag === (TAG.context | 1);
    if (hasReasons) field = field?.next;
    const crlIssuer = field?.tag === (TAG.contextConstructed | 2) ? field : undefined;
    if (crlIssuer !== undefined) field = field?.next;
    if (field !== undefined) wellFormed = false;
    // distributionPoint [0] is EXPLICIT around a CHOICE: fullName [0] or nameRelativeToCRLIssuer [1].
    const choice = name?.first;
    const isFull = choice?.tag === TAG.contextConstructed;
    const isRelative = choice?.tag === (TAG.contextConstructed | 1);
    const full = isFull ? readGeneralNames(choice) : undefined;
    if (name !== undefined && ((!isFull && !isRelative) || choice?.next !== undefined)) wellFormed = false;
    if (full !== undefined && (!full.wellFormed || full.names.length === 0)) wellFormed = false;
    points.push({ names: full?.names ?? [], hasName: name !== undefined, isRelative, hasReasons, crlIssuer });
  }
  return { critical, wellFormed, points };
}

export interface AccessDescription {
  /** Dotted. */
  readonly method: string;
  readonly location: GeneralNameView;
}

export interface InformationAccess extends ExtensionValue {
  readonly descriptions: readonly AccessDescription[];
}

/** AuthorityInfoAccessSyntax of RFC 5280 §4.2.2.1. */
export function readInformationAccess(critical: boolean, value: Tlv | undefined): InformationAccess {
  const descriptions: AccessDescription[] = [];
  let wellFormed = value?.tag === TAG.sequence;
  for (let raw = wellFormed ? value?.first : undefined; raw !== undefined; raw = raw.next) {
    const method = raw.first;
    const location = method?.next === undefined ? undefined : readGeneralName(method.next);
    if (
      raw.tag !== TAG.sequence ||
      method?.tag !== TAG.oid ||
      location === undefined ||
      method.next?.next !== undefined
    ) {
      wellFormed = false;
    } else {
      descriptions.push({ method: dottedOf(method), location });
    }
  }
  return { critical, wellFormed, descriptions };
}
