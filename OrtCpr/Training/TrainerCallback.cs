namespace OrtCpr;

/// <summary>Something that is told what happens in a fit, and that may end it.</summary>
public abstract class TrainerCallback
{
    /// <summary>Before the first step, or the first one of a resumed run.</summary>
    /// <param name="trainer">The trainer, with the driver that it steps.</param>
    /// <param name="options">The options of the fit.</param>
    /// <param name="step">Steps made before, 0 where the run begins.</param>
    public virtual void OnFitBegin(Trainer trainer, FitOptions options, long step)
    {
    }

    /// <summary>Something that the user should know, before the first step: a bound that the run is too short to find,
    /// for example.</summary>
    /// <param name="trainer">The trainer, with the driver that it steps.</param>
    /// <param name="message">Whole sentences.</param>
    public virtual void OnWarning(Trainer trainer, string message)
    {
    }

    /// <summary>After an optimizer step.</summary>
    /// <param name="trainer">The trainer, with the driver that it steps.</param>
    /// <param name="report">Loss, rate and whether the step was applied.</param>
    /// <param name="control">Ends the fit.</param>
    public virtual void OnStepEnd(Trainer trainer, StepReport report, FitControl control)
    {
    }

    /// <summary>After an evaluation.</summary>
    /// <param name="trainer">The trainer, with the driver that it steps.</param>
    /// <param name="report">Loss and metrics.</param>
    /// <param name="control">Ends the fit.</param>
    public virtual void OnEvaluated(Trainer trainer, EvaluationReport report, FitControl control)
    {
    }

    /// <summary>When the fit is over, however it ended: finished, stopped, cancelled or broken off by an exception,
    /// that of an <see cref="OnFitBegin"/> included.</summary>
    /// <param name="trainer">The trainer, with the driver that it steps.</param>
    public virtual void OnFitEnd(Trainer trainer)
    {
    }

    /// <summary>Whether only the first of several ranks has it called, since it writes what is written once: a log, a bar. Default
    /// false: what it decides it decides on all ranks alike.</summary>
    public virtual bool IsForFirstRank => false;

    /// <summary>What a checkpoint has to keep of this callback; null for nothing. Default null.</summary>
    public virtual string? State => null;

    /// <summary>Takes back what <see cref="State"/> gave, before <see cref="OnFitBegin"/>.</summary>
    /// <param name="state">As it was given.</param>
    public virtual void Restore(string state)
    {
    }

    /// <summary>Whether a run that is resumed is over, by what <see cref="Restore"/> has taken back: the reason for
    /// which this callback ended it still holds. Asked after <see cref="OnFitBegin"/>. Default false, right for a
    /// callback that ends a sitting only.</summary>
    public virtual bool IsOver => false;

    /// <summary>After an epoch and its evaluation.</summary>
    /// <param name="trainer">The trainer, with the driver that it steps.</param>
    /// <param name="report">Mean loss of the epoch, and its evaluation where there was one.</param>
    /// <param name="control">Ends the fit.</param>
    public virtual void OnEpochEnd(Trainer trainer, EpochReport report, FitControl control)
    {
    }
}

/// <summary>The means by which a callback ends a fit.</summary>
public sealed class FitControl
{
    /// <summary>Set to end the fit after the step or epoch at hand.</summary>
    public bool StopRequested { get; set; }
}
