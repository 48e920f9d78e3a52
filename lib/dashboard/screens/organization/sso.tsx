/**
 * Single sign-on of an organization: the domains it has proven, its provider, whom it lets in as what, and the directory
 * that says who is in it.
 */
import { useCallback, useEffect, useState } from 'react'
import { type SignOnSettings, signOnApi } from '../../api-sign-on.js'
import { Section } from '../../components/section.js'
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
    <Section
      title="Single sign-on"
      text="People of this organization sign in with the account they have at your identity provider."
      problem={problem}
      isLoading={settings === null}
    >
      {settings !== null && (
        <>
          <Domains organization={organization.slug} domains={settings.domains} onChanged={load} />
          <Provider organization={organization.slug} settings={settings} onChanged={load} />
          <Directory organization={organization.slug} directory={settings.directory} onChanged={load} />
        </>
      )}
    </Section>
  )
}
