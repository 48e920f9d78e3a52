/** The forms of an action or page: who may use it, and what it is called. */
import { useState } from 'react'
import type {
  ActionSettings,
  NotificationTarget,
  OrganizationApi,
  Settable,
  Team,
  TeamLevel,
} from '../../api-organization.js'
import { Select } from '../../components/choice.js'
import { FormDialog } from '../../components/form-dialog.js'
import { Input, TextArea } from '../../components/input.js'
import { levelLabels, type Thing } from './access-levels.js'

interface FormProps {
  api: OrganizationApi
  environment: string
  onClose: () => void
  onChanged: () => Promise<void>
}

const levelOptions = [
  { value: '', label: 'No access' },
  ...(['VIEWER', 'RUNNER', 'ADMINISTRATOR'] as const).map(value => ({ value, label: levelLabels[value] })),
]

export function AccessForm({
  api,
  environment,
  thing,
  inherited,
  teams,
  onClose,
  onChanged,
}: FormProps & { thing: Thing; inherited: string; teams: readonly Team[] }) {
  const [availability, setAvailability] = useState(thing.availability ?? '')
  const [levels, setLevels] = useState<ReadonlyMap<string, TeamLevel>>(
    new Map(thing.teams.map(team => [team.id, team.level])),
  )
  const setLevel = (id: string, level: string) => {
    const next = new Map(levels)
    if (level === '') next.delete(id)
    else next.set(id, level as TeamLevel)
    setLevels(next)
  }
  return (
    <FormDialog
      title={`Access to ${thing.slug}`}
      submit="Save"
      isWide
      onClose={onClose}
      onSubmit={async () => {
        await api.setAccess(environment, thing, {
          availability: (availability || null) as Settable['availability'],
          teams: [...levels].map(([id, level]) => ({ id, level })),
        })
        await onChanged()
      }}
    >
      {errors => (
        <>
          <Select
            name="availability"
            label="Open to"
            error={errors.availability}
            hint={availability === '' ? inherited : hints[availability]}
            value={availability}
            options={[
              { value: '', label: 'Inherit' },
              { value: 'ORGANIZATION', label: 'Everybody in the organization' },
              { value: 'GROUPS', label: 'Only some teams' },
            ]}
            onChange={event => setAvailability(event.target.value as typeof availability)}
          />
          {availability === 'GROUPS' && teams.length === 0 && (
            <p className="text-sm text-muted">There are no teams yet. Add them under Teams first.</p>
          )}
          {availability === 'GROUPS' && teams.length > 0 && (
            <fieldset className="grid gap-3">
              <legend className="mb-1.5 text-sm font-medium">Teams</legend>
              {teams.map(team => (
                <div key={team.id} className="flex flex-wrap items-center gap-x-4 gap-y-1">
                  <label htmlFor={`level-${team.id}`} className="min-w-0 flex-1 basis-40 break-words">
                    {team.name}
                  </label>
                  <select
                    id={`level-${team.id}`}
                    className="control max-w-44"
                    value={levels.get(team.id) ?? ''}
                    onChange={event => setLevel(team.id, event.target.value)}
                  >
                    {levelOptions.map(({ value, label }) => (
                      <option key={value} value={value}>
                        {label}
                      </option>
                    ))}
                  </select>
                </div>
              ))}
            </fieldset>
          )}
        </>
      )}
    </FormDialog>
  )
}

const hints: Record<string, string> = {
  ORGANIZATION: 'As far as their role lets them.',
  GROUPS:
    'Everybody else is shut out, administrators too. Runners run it; administrators of it see the runs of others as well; viewers see that it is there.',
}

const noDelivery = 'One address, #channel or @person in each line. Empty: nobody.'

export function ActionForm({
  api,
  environment,
  action,
  onClose,
  onChanged,
}: FormProps & { action: ActionSettings }) {
  const [name, setName] = useState(action.overrides.name ?? '')
  const [description, setDescription] = useState(action.overrides.description ?? '')
  const [background, setBackground] = useState(String(action.overrides.backgroundable ?? ''))
  const [targets, setTargets] = useState(action.notifications.map(({ to }) => to).join('\n'))
  return (
    <FormDialog
      title={`Settings of ${action.slug}`}
      submit="Save"
      isWide
      onClose={onClose}
      onSubmit={async () => {
        await api.changeAction(environment, action.id, {
          name: name.trim() || null,
          description: description.trim() || null,
          backgroundable: background === '' ? null : background === 'true',
          notifications: targetsOf(targets),
        })
        await onChanged()
      }}
    >
      {errors => (
        <>
          <Input
            name="name"
            label="Name"
            placeholder={action.name ?? undefined}
            hint="Empty: as code says."
            maxLength={200}
            value={name}
            error={errors.name}
            onChange={event => setName(event.target.value)}
          />
          <TextArea
            id="action-description"
            name="description"
            label="Description"
            rows={3}
            maxLength={2_000}
            placeholder={action.description ?? 'Empty: as code says.'}
            value={description}
            error={errors.description}
            onChange={event => setDescription(event.target.value)}
          />
          <Select
            name="backgroundable"
            label="Goes on in the background"
            error={errors.backgroundable}
            value={background}
            options={[
              { value: '', label: `As code says (${action.backgroundable ? 'yes' : 'no'})` },
              { value: 'true', label: 'Yes' },
              { value: 'false', label: 'No' },
            ]}
            onChange={event => setBackground(event.target.value)}
          />
          <TextArea
            id="action-notifications"
            name="notifications"
            label="Notifications go to"
            hint={`Where the action names nobody. ${noDelivery}`}
            rows={3}
            value={targets}
            error={errors.notifications}
            onChange={event => setTargets(event.target.value)}
          />
        </>
      )}
    </FormDialog>
  )
}

/** A line that begins with # or @ is for Slack, any other an address. */
function targetsOf(text: string): NotificationTarget[] {
  return text
    .split(/[\n,]/)
    .map(line => line.trim())
    .filter(line => line !== '')
    .map(to => ({ to, method: /^[#@]/.test(to) ? 'SLACK' : 'EMAIL' }))
}
