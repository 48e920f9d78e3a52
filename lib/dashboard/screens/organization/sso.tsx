/**
 * Single sign-on of an organization: the domains it has proven, its provider, whom it lets in as what, and the directory
 * that says who is in it.
 */
import { useCallback, useEffect, useState } from 'react'
import { type SignOnSettings, signOnApi } from '../../api-sign-on.js'
import { Banner, Loading } from '../../components/notice.js'
import type { SectionProps } from './sections.js'
import { Directory } from './sso-directory.js'
import { Domains } from './sso-domains.js'
import { Provider } from './sso-provider.js'

export default function SignOnScreen({ organization }: SectionProps) {
  const [settings, setSettings] = useState<SignOnSettings | null>(null)
  const [problem, setProblem] = useState<string | null>(null)

  const load = useCallback(async () => {
    try {
      setSettings(await signOnApi.settings(organization.slug))
      setProblem(null)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'Something went wrong.')
    }
  }, [organization.slug])
  useEffect(() => {
    void load()
  }, [load])

  return (
    <main className="mx-auto grid w-full max-w-4xl content-start gap-6 px-4 py-8 sm:px-8">
      <header className="grid gap-1">
        <h2 className="text-2xl font-semibold tracking-tight">Single sign-on</h2>
        <p className="text-muted">
          People of this organization sign in with the account they have at your identity provider.
        </p>
      </header>
      {problem !== null && (
        <Banner tone="danger" role="alert">
          <span className="mr-3">{problem}</span>
          <button type="button" className="button small" onClick={() => void load()}>
            Try again
          </button>
        </Banner>
      )}
      {settings === null && problem === null && <Loading />}
      {settings !== null && (
        <>
          <Domains organization={organization.slug} domains={settings.domains} onChanged={load} />
          <Provider organization={organization.slug} settings={settings} onChanged={load} />
          <Directory organization={organization.slug} directory={settings.directory} onChanged={load} />
        </>
      )}
    </main>
  )
}
