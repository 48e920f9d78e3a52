/** Signing in through somebody else, as far as it goes over the network: the public face of this folder. */
export { type Claims, googleIssuer, type OidcClient, OidcProviders } from './oidc.js'
export { SignOnError } from './sign-on-error.js'
export { WorkOs, type WorkOsOptions, type WorkOsProfile } from './workos.js'
export { verifiedEvent } from './workos-signature.js'
