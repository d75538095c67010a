// Drives @clerk/backend, unchanged, against a clerktest server:
//
//   node official.mjs URL SECRET_KEY ORGANIZATION_ID ADMIN_USER_ID
import assert from 'node:assert/strict';
import { createClerkClient } from '@clerk/backend';
import { isClerkAPIResponseError } from '@clerk/backend/errors';

const [apiUrl, secretKey, organizationId, adminUserId] = process.argv.slice(2);
const { organizations, users } = createClerkClient({ secretKey, apiUrl, telemetry: { disabled: true } });

async function refused(promise, status, code, meta) {
  const error = await promise.then(() => assert.fail('it was not refused'), e => e);
  assert.ok(isClerkAPIResponseError(error), String(error));
  assert.equal(error.status, status);
  assert.equal(error.errors.length, 1);
  assert.equal(error.errors[0].code, code);
  assert.ok(error.errors[0].message && error.errors[0].longMessage);
  assert.match(error.clerkTraceId, /^[0-9a-f]{32}$/);
  if (meta) assert.equal(error.errors[0].meta.paramName, meta);
  return error;
}

// Bulk: every parameter, and explicit nulls.
const bulk = await organizations.createOrganizationInvitationBulk(organizationId, [
  {
    inviterUserId: adminUserId,
    emailAddress: 'ann@example.com',
    role: 'org:admin',
    redirectUrl: 'https://example.com/welcome',
    publicMetadata: { teamName: 'blue', nested: { keepCase: true } },
    privateMetadata: { source: 'csv' },
    expiresInDays: 7,
    notify: false,
  },
  { inviterUserId: null, emailAddress: 'bob@example.com', role: 'org:member' },
]);
assert.equal(bulk.totalCount, 2);
assert.deepEqual(bulk.data.map(i => i.emailAddress), ['ann@example.com', 'bob@example.com']);
const [ann, bob] = bulk.data;
assert.match(ann.id, /^orginv_/);
assert.equal(ann.role, 'org:admin');
assert.equal(ann.roleName, 'Admin');
assert.equal(ann.organizationId, organizationId);
assert.equal(ann.status, 'pending');
assert.equal(ann.expiresAt - ann.createdAt, 7 * 86400000);
assert.equal(ann.updatedAt, ann.createdAt);
assert.deepEqual(ann.publicMetadata, { teamName: 'blue', nested: { keepCase: true } });
assert.deepEqual(ann.privateMetadata, { source: 'csv' });
assert.match(ann.url, /^https:/);
assert.deepEqual(bob.publicMetadata, {});

// Single.
const cyd = await organizations.createOrganizationInvitation({
  organizationId,
  inviterUserId: adminUserId,
  emailAddress: 'cyd@example.com',
  role: 'org:member',
});
assert.equal(cyd.emailAddress, 'cyd@example.com');

// Get, and revoke with and without a user: the latter sends no body.
assert.equal((await organizations.getOrganizationInvitation({ organizationId, invitationId: bob.id })).id, bob.id);
const revoked = await organizations.revokeOrganizationInvitation({ organizationId, invitationId: bob.id });
assert.equal(revoked.status, 'revoked');
assert.equal(revoked.url, null);
const byAdmin = await organizations.revokeOrganizationInvitation({
  organizationId,
  invitationId: cyd.id,
  requestingUserId: adminUserId,
});
assert.equal(byAdmin.status, 'revoked');

// Lists.
const list = params => organizations.getOrganizationInvitationList({ organizationId, ...params });
const all = await list({});
assert.equal(all.totalCount, 3);
assert.deepEqual(all.data.map(i => i.emailAddress), ['cyd@example.com', 'bob@example.com', 'ann@example.com']);
assert.equal((await list({ status: ['pending'] })).totalCount, 1);
assert.equal((await list({ status: ['pending', 'revoked'] })).totalCount, 3);
const page = await list({ status: ['revoked'], limit: 1, offset: 1 });
assert.equal(page.totalCount, 2);
assert.deepEqual(page.data.map(i => i.id), [bob.id]);
const empty = await list({ status: ['expired', 'accepted'], offset: 0 });
assert.deepEqual([empty.totalCount, empty.data], [0, []]);

// The organization and its members.
const organization = await organizations.getOrganization({ organizationId, includeMembersCount: true });
assert.equal(organization.id, organizationId);
assert.equal(organization.membersCount, 1);
assert.equal(organization.createdBy, adminUserId);
assert.equal((await organizations.getOrganization({ slug: organization.slug })).id, organizationId);
const members = await organizations.getOrganizationMembershipList({
  organizationId,
  emailAddress: ['admin@example.com', 'nobody@example.com'],
  orderBy: '-created_at',
});
assert.equal(members.totalCount, 1);
assert.equal(members.data[0].publicUserData.userId, adminUserId);
assert.equal(members.data[0].publicUserData.identifier, 'admin@example.com');
assert.equal(members.data[0].organization.id, organizationId);

// Errors.
const person = emailAddress => ({ inviterUserId: null, emailAddress, role: 'org:member' });
const invite = (...people) => organizations.createOrganizationInvitationBulk(organizationId, people);
await refused(invite(person('new@example.com'), person('ann@example.com')), 400, 'organization_invitation_not_unique');
await refused(invite(person('admin@example.com')), 400, 'already_a_member_in_organization');
await refused(invite(person('nonsense')), 422, 'form_param_format_invalid', 'email_address');
await refused(invite({ ...person('new@example.com'), role: 'org:none' }), 404, 'resource_not_found');
await refused(invite(...Array.from({ length: 11 }, (_, i) => person(`p${i}@example.com`))), 400, 'bulk_size_exceeded');
await refused(organizations.getOrganization({ organizationId: 'org_none' }), 404, 'resource_not_found');
await refused(
  organizations.revokeOrganizationInvitation({ organizationId, invitationId: bob.id }),
  404,
  'organization_invitation_not_pending',
);
const stranger = createClerkClient({ secretKey: 'sk_test_of_somebody', apiUrl, telemetry: { disabled: true } });
await refused(stranger.organizations.getOrganization({ organizationId }), 401, 'clerk_key_invalid');

// The hourly limit of 50 bulk calls, of which this spends the rest.
let limited;
for (let i = 0; i < 50 && !limited; i++) {
  await invite(person(`many${i}@example.com`)).catch(error => (limited = error));
}
assert.equal(limited?.status, 429);
assert.equal(limited.errors[0].code, 'too_many_requests');
assert.ok(limited.retryAfter > 0 && limited.retryAfter <= 3600);

console.log('ok');

// Onboarding: an organization of their own, and who has an account already.
const acme = await organizations.createOrganization({ name: 'Acme', createdBy: adminUserId });
assert.equal(acme.createdBy, adminUserId);
const known = await users.getUserList({ emailAddress: ['admin@example.com', 'new@example.com'] });
assert.equal(known.totalCount, 1);
assert.equal(known.data[0].id, adminUserId);
