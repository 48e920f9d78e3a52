/**
 * A key and a certificate for `receiver.example`, signed by itself and good until 2120. For tests only: the key is public.
 */
export const testKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgsnw0VXvqujVsKqlU
KFiy2noJGxX+0TOIlk1NeYKR1/qhRANCAASOL734wKf39HaA0QSrIgN1a52DbWfu
WwSjjOfuPWHG0UVybF06Q+6cwCdqO44OLORueweiRNoMbo/ovTMTmlxw
-----END PRIVATE KEY-----
`

export const testCertificate = `-----BEGIN CERTIFICATE-----
MIIBdTCCARygAwIBAgIBATAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBByZWNlaXZl
ci5leGFtcGxlMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAbMRkw
FwYDVQQDDBByZWNlaXZlci5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEji+9+MCn9/R2gNEEqyIDdWudg21n7lsEo4zn7j1hxtFFcmxdOkPunMAnajuO
DizkbnsHokTaDG6P6L0zE5pccKNPME0wGwYDVR0RBBQwEoIQcmVjZWl2ZXIuZXhh
bXBsZTAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBSI++zgHdCsRsRUw/IoV1IN
mS4+LTAKBggqhkjOPQQDAgNHADBEAiA7H+g/tU7yLtrgcKFwdk8e56js6t3EhpqS
ktKtwoj6MwIgEkmtArTV1r6qzzR2Y2IizoEc2u3Bv4sDFgcQ5LEcrGI=
-----END CERTIFICATE-----
`
