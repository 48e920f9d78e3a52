/** In front of an organization that asks for a second factor, for members who have none: they set one up first. */
import { useEffect, useState } from 'react'
import type { Organization } from '../api.js'
import { accountApi, type OwnAccount } from '../api-account.js'
import { AppLink } from '../components/app-link.js'
import { Entrance } from '../components/entrance.js'
import { Loading, Problem } from '../components/notice.js'
import { SecondFactorSetup } from '../components/second-factor-setup.js'
import { placeHref } from '../links.js'
import { useLive } from '../services.js'

export default function SecondFactorNeeded({ organization }: { organization: Organization }) {
  const { refresh, session, signOut } = useLive()
  const [account, setAccount] = useState<OwnAccount | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  useEffect(() => {
    accountApi.account().then(setAccount, (error: Error) => setProblem(error.message))
  }, [])
  const others = session.organizations.filter(({ lacksSecondFactor }) => !lacksSecondFactor)
  return (
    <Entrance
      title={`${organization.name} asks for a second factor`}
      text="Set one up to go on: besides your password, signing in then takes a code of an app on your phone."
    >
      <Problem text={problem} />
      {account === null && problem === null && <Loading />}
      {account !== null && <SecondFactorSetup account={account} onDone={refresh} />}
      <div className="flex flex-wrap gap-x-5 gap-y-2 border-t border-line pt-4 text-sm">
        {others.map(({ id, name, slug }) => (
          <AppLink
            key={id}
            className="link"
            href={placeHref({ organization: slug, environment: 'production' })}
          >
            Go to {name}
          </AppLink>
        ))}
        <AppLink href="/account" className="link">
          Your account
        </AppLink>
        <button type="button" className="link" onClick={() => void signOut()}>
          Sign out
        </button>
      </div>
    </Entrance>
  )
}
