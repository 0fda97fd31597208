import { ALL_KINDS, DEVICES, END_ENTITIES, type LintRule } from '../rule.ts';
import { rfc5280 } from '../sources.ts';

export const basicConstraintsRules: readonly LintRule[] = [
  {
    id: 'basic-constraints.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.9'),
    what: 'basicConstraints is SEQUENCE { cA BOOLEAN, pathLenConstraint INTEGER }, the number not negative.',
    check: ({ basicConstraints }) =>
      basicConstraints?.wellFormed === false ? 'basicConstraints is not of that syntax' : undefined,
  },
  {
    id: 'basic-constraints.ca',
    severity: 'error',
    kinds: END_ENTITIES,
    source: rfc5280('4.2.1.9'),
    what: 'An end entity does not have cA TRUE.',
    check: ({ basicConstraints }) =>
      basicConstraints?.ca === true ? 'basicConstraints makes it an authority' : undefined,
  },
  {
    id: 'basic-constraints.path-length-without-ca',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.9'),
    what: 'pathLenConstraint comes with cA TRUE only.',
    check: ({ basicConstraints }) =>
      basicConstraints?.pathLength !== undefined && !basicConstraints.ca
        ? 'pathLenConstraint stands without cA TRUE'
        : undefined,
  },
  {
    id: 'device.basic-constraints.present',
    severity: 'warning',
    kinds: DEVICES,
    source: rfc5280('4.2.1.9'),
    what: 'A device has no basicConstraints: it says nothing there that its absence does not.',
    check: ({ basicConstraints }) =>
      basicConstraints !== undefined && !basicConstraints.ca
        ? 'basicConstraints is present in an end entity'
        : undefined,
  },
  {
    id: 'ca.basic-constraints.missing',
    severity: 'error',
    kinds: ['ca'],
    source: rfc5280('4.2.1.9'),
    what: 'An authority has basicConstraints with cA TRUE.',
    check: ({ basicConstraints }) => (basicConstraints?.ca === true ? undefined : 'cA is not TRUE'),
  },
  {
    id: 'ca.basic-constraints.not-critical',
    severity: 'error',
    kinds: ['ca'],
    source: rfc5280('4.2.1.9'),
    what: "An authority's basicConstraints is critical.",
    check: ({ basicConstraints }) =>
      basicConstraints?.critical === false ? 'basicConstraints is not critical' : undefined,
  },
  {
    id: 'ca.path-length.missing',
    severity: 'warning',
    kinds: ['ca'],
    source: rfc5280('4.2.1.9'),
    what: 'An authority that is no root has a pathLenConstraint: without it it may make further authorities.',
    check: ({ basicConstraints, selfIssued }) =>
      basicConstraints?.ca === true && basicConstraints.pathLength === undefined && !selfIssued
        ? 'there is no pathLenConstraint'
        : undefined,
  },
];
