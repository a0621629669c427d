import type { ApplyReport, GenerationReport, PlanReport } from '../../api/index.ts'
import type { Outlook } from '../../balancer/index.ts'
import { type Log, messageOf, MusterError } from '../../base/index.ts'
import type { Balancing } from '../balancing.ts'
import { settingChanges } from '../config/changes.ts'
import { type AgentConfig, ConfigError } from '../config/index.ts'
import type { Generation } from './generation.ts'
import type { Generations } from './generations.ts'
import type { Journaling } from '../journal/journaling.ts'
import { heldBack } from './reload.ts'
import type { HostServices } from '../services/services.ts'

/** Who asks, and what was agreed to. */
export interface ApplyAsk {
  /** `SIGHUP`, `watch`, `operator`, or the operator's name. */
  readonly actor: string
  /** The plan's `id`. */
  readonly plan?: string
  readonly dryRun?: boolean
  /** HAProxy is reloaded even where nothing differs. */
  readonly reload?: boolean
}

/** What is asked for makes no sense here. Nothing was changed. */
export class NotConfigurableError extends MusterError {
  readonly code = 'AGENT_NOT_CONFIGURABLE'
}

interface ConfiguringDeps {
  /** As the agent was started. */
  readonly config: AgentConfig
  /** Files, environment and flags, read again. @throws ConfigError */
  readonly read: (() => AgentConfig) | undefined
  readonly balancing: Balancing | undefined
  readonly generations: Generations
  readonly journal: Journaling
  readonly log: Log
  readonly services: HostServices
  /** Takes over what does not concern the balancer. */
  readonly takeOver: (next: AgentConfig) => Promise<void>
  /** @throws what keeps it from being taken over */
  readonly assertTakable: (next: AgentConfig) => void
}

/** What was started of the configuration, what it says by now, and the way from the one to the other. */
export class Configuring {
  readonly #deps: ConfiguringDeps
  /** In force, but for what takes a restart; of that, only whether there is a balancer is as it runs. */
  #config: AgentConfig
  /** Why what the files say is not in force, in words. */
  #refusal: string | undefined
  /** One configuration after the other, whoever asks. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(deps: ConfiguringDeps) {
    this.#deps = deps
    this.#config = deps.config
  }

  /** What was taken over last; of what takes a restart, it may be ahead. */
  get inForce(): AgentConfig {
    return this.#config
  }

  /** What the files say by now would change, and how. @throws ConfigError, what `Balancing.plan` throws */
  async plan(): Promise<PlanReport> {
    const next = this.#read()
    return this.#planReport(next, await this.#outlook(next))
  }

  /**
   * Puts in force what the files say by now. Where any of it is refused, the balancer is as before.
   * @param read called in its turn, and not before; default: the files, the environment and the flags
   * @throws ConfigError, what `Balancing.apply` throws, what `takeOver` throws
   */
  async apply(ask: ApplyAsk, read: () => AgentConfig = () => this.#read()): Promise<ApplyReport> {
    if (ask.dryRun === true) return { plan: await this.plan(), isApplied: false }
    return this.#logged(ask, 'apply', async () => {
      const next = read() // what is wrong with them is on record, too
      this.#deps.assertTakable(next) // before HAProxy has any of it
      if (ask.actor === 'watch' && (await this.#isPinnedOver(next))) return this.#applyPinned(ask, next)
      const outlook = await this.#outlook(next).catch(() => undefined) // what is wrong with it is told by what follows
      const plan = this.#planReport(next, outlook)
      const receipt = await this.#applyBalancer(next, ask, plan.settings)
      this.#config = withRunningBalancer(this.#config, next)
      await this.#deps.takeOver(next)
      return { plan, isApplied: true, ...(receipt === undefined ? {} : { receipt }) }
    })
  }

  /** Goes back to a configuration that was in force, by default the one before. @throws NoGenerationError, what `Balancing.apply` throws */
  async rollback(ask: ApplyAsk & { readonly to?: number }): Promise<ApplyReport> {
    const { generations, balancing } = this.#deps
    if (balancing === undefined) throw new NotConfigurableError(NO_BALANCER)
    const goal = generations.find(ask.to)
    const outlook = await planOfGeneration(balancing, goal)
    const plan: PlanReport = { ...planOf(outlook), settings: [], services: [], restart: [], generation: goal.number }
    if (ask.dryRun === true) return { plan, isApplied: false }
    return this.#logged(ask, `rollback to generation ${goal.number}`, async () => {
      const causes = [{ what: 'muster rollback', configuration: `generation ${goal.number}` }]
      const receipt = await balancing.apply(goal.settings, { actor: ask.actor, causes }, goal.template)
      await generations.pin(goal, this.#ofFiles().balancer)
      return { plan, isApplied: true, ...(receipt === undefined ? {} : { receipt }) }
    })
  }

  /** The files say what they said when another configuration was gone back to: only what they name (a certificate) has changed. */
  async #isPinnedOver({ balancer }: AgentConfig): Promise<boolean> {
    return balancer !== undefined && (await this.#deps.generations.isPinnedOver(balancer))
  }

  async #applyPinned(ask: ApplyAsk, next: AgentConfig): Promise<ApplyReport> {
    const { balancing, generations } = this.#deps
    const plan = this.#planReport(next, undefined)
    const { pinned } = generations
    if (balancing === undefined || pinned === undefined) return { plan, isApplied: false }
    const order = { actor: ask.actor, causes: [{ what: ask.actor }] }
    const receipt = await balancing.apply(pinned.settings, order, pinned.template)
    return { plan, isApplied: true, ...(receipt === undefined ? {} : { receipt }) }
  }

  /** The configurations that can be gone back to, the newest last. */
  generations(): GenerationReport[] {
    const { generations } = this.#deps
    const current = generations.current()
    return generations.all().map(one => generationReport(one, one === current))
  }

  /** What an operator should know, in sentences. */
  warnings(): string[] {
    const { pinned } = this.#deps.generations
    const refused =
      this.#refusal === undefined ? [] : [`the configuration was not taken, the one before serves: ${this.#refusal}`]
    if (pinned === undefined) return refused
    return [
      ...refused,
      `generation ${pinned.number} of the configuration serves, which was gone back to; muster apply takes that of the files`,
    ]
  }

  /** What a restart would start with; where that could not be read, what was taken over last. */
  #ofFiles(): AgentConfig {
    try {
      return this.#deps.read?.() ?? this.#config
    } catch {
      return this.#config // the next start is refused until they are mended, and then they are others
    }
  }

  #read(): AgentConfig {
    if (this.#deps.read === undefined)
      throw new NotConfigurableError('this agent was started without files to read again')
    return this.#deps.read()
  }

  async #outlook({ balancer }: AgentConfig): Promise<Outlook | undefined> {
    const { balancing } = this.#deps
    return balancer === undefined || balancing === undefined ? undefined : balancing.plan(balancer)
  }

  async #applyBalancer({ balancer, origin }: AgentConfig, ask: ApplyAsk, settings: PlanReport['settings']) {
    const { balancing, generations } = this.#deps
    if (balancer === undefined || balancing === undefined) return undefined
    const ours = settings.filter(({ path }) => path.startsWith('balancer.'))
    const causes = [{ what: ask.actor }, ...ours.slice(0, CAUSES_MAX).map(causeOf)]
    const expected = ask.plan === undefined ? {} : { expected: ask.plan }
    const reload = ask.reload === true ? { reload: true } : {}
    const receipt = await balancing.apply(balancer, { actor: ask.actor, causes, ...expected, ...reload })
    await generations.record(balancer, ask.actor, origin?.settings.balancer)
    return receipt
  }

  /** @param outlook undefined: the balancer is not asked */
  #planReport(next: AgentConfig, outlook: Outlook | undefined): PlanReport {
    const settings = settingChanges(withBalancerOf(this.#config, this.#deps.generations.pinned), next)
    const services = this.#deps.services.outlook(next.services)
    return { ...planOf(outlook), settings, services, restart: heldBack(this.#deps.config, next) }
  }

  async #logged(ask: ApplyAsk, command: string, work: () => Promise<ApplyReport>): Promise<ApplyReport> {
    const { journal } = this.#deps
    const working = this.#turn.then(work)
    this.#turn = working.catch(() => undefined) // told below
    try {
      const report = await working
      this.#refusal = undefined
      journal.command({ actor: ask.actor, command, outcome: outcomeOf(report) })
      return report
    } catch (failure) {
      const reason = reasonOf(failure)
      if (isVerdict(failure, ask)) this.#refusal = reason
      journal.command({ actor: ask.actor, command, outcome: `refused: ${reason}` })
      throw failure
    }
  }
}

/** A plan that is out of date, or an HAProxy that gives no answer, says nothing about a configuration; whoever asked has been told. */
function isVerdict(failure: unknown, { actor }: ApplyAsk): boolean {
  if (failure instanceof MusterError && failure.code === 'BALANCER_PLAN_STALE') return false
  const isSilence = failure instanceof MusterError && failure.code === 'BALANCER_RUNTIME_SOCKET'
  return !isSilence || actor === 'SIGHUP' || actor === 'watch'
}

/** @throws NotConfigurableError where this version cannot read what another one has kept */
async function planOfGeneration(balancing: Balancing, { settings, template, number }: Generation): Promise<Outlook> {
  try {
    return await balancing.plan(settings, template)
  } catch (failure) {
    if (!(failure instanceof TypeError)) throw failure
    throw new NotConfigurableError(
      `generation ${number} was kept by another version of Muster, and cannot be gone back to`,
      { cause: failure },
    )
  }
}

const CAUSES_MAX = 32
const NO_BALANCER = 'this node has no balancer'

/** A balancer that is taken out of the files serves on, as it was; one that is put into them waits for a restart. */
function withRunningBalancer(before: AgentConfig, { balancer: next, ...others }: AgentConfig): AgentConfig {
  const balancer = before.balancer === undefined ? undefined : (next ?? before.balancer)
  return balancer === undefined ? others : { ...others, balancer }
}

/** As it serves: with the balancer that was gone back to, and not with that of the files. */
function withBalancerOf(config: AgentConfig, pinned: Generation | undefined): AgentConfig {
  if (pinned?.written === undefined || config.origin === undefined) return config
  return { ...config, origin: { ...config.origin, settings: { ...config.origin.settings, balancer: pinned.written } } }
}

/** Of files that are wrong only what and where: their lines may hold secrets, and whoever asked has seen them. */
function reasonOf(failure: unknown): string {
  if (!(failure instanceof ConfigError)) return messageOf(failure)
  return failure.problems
    .map(({ where, message }) => (where === undefined ? message : `${where}: ${message}`))
    .join('; ')
}

function causeOf({ path, where }: PlanReport['settings'][number]) {
  return { what: 'configuration', configuration: where === undefined ? path : `${path} (${where})` }
}

function outcomeOf({ receipt }: ApplyReport): string {
  return receipt === undefined ? 'nothing had to be done' : `applied, receipt ${receipt.id}`
}

function planOf(outlook: Outlook | undefined) {
  if (outlook === undefined)
    return { id: '', method: 'nothing', reasons: [], commands: [], before: '', after: '' } as const
  return outlook
}

function generationReport({ number, atMs, actor, digest }: Generation, isCurrent: boolean): GenerationReport {
  return { number, at: new Date(atMs).toISOString(), actor, digest, isCurrent }
}
