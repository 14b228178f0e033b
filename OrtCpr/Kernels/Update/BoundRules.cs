using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Kernels;

/// <summary>The scalars of one CPR stage; the last five matter to one method each.</summary>
/// <remarks>Compiled for the GPU too, where a boolean in memory has another size: here and in the state it is an integer.</remarks>
internal readonly struct ConstraintSettings
{
    private readonly int _adaptive;

    public BoundKind Method { get; init; }

    /// <summary>AdaCPR: κ ← R when an update takes λ from above 0 to 0.</summary>
    public bool Adaptive
    {
        get => _adaptive != 0;
        init => _adaptive = value ? 1 : 0;
    }

    /// <summary>μ_eff.</summary>
    public double KappaUpdate { get; init; }

    /// <summary>s: the learning rate, or 1.</summary>
    public double Rate { get; init; }

    public double KappaFactor { get; init; }

    public long WarmStartSteps { get; init; }

    public long SampleInterval { get; init; }

    public double SampleDecay { get; init; }

    /// <summary>0: wait for ever.</summary>
    public long MaxWaitSteps { get; init; }
}

/// <summary>λ, κ and the detector of one matrix, in double within a step.</summary>
internal struct ConstraintState
{
    private int _isSet, _everActive;
    public double Lambda;
    public double Kappa;
    public double Samples;
    /// <summary>e1: the latest sample, which is also the running average.</summary>
    public double LastSample;
    /// <summary>e2: the one before.</summary>
    public double EarlierSample;
    /// <summary>Whether κ has its value.</summary>
    public bool IsSet
    {
        readonly get => _isSet != 0;
        set => _isSet = value ? 1 : 0;
    }

    /// <summary>Whether λ has been above 0 after any step.</summary>
    public bool EverActive
    {
        readonly get => _everActive != 0;
        set => _everActive = value ? 1 : 0;
    }
}

/// <summary>When R is needed, and what it does to λ and κ: the CPR stage without any element of the parameter.</summary>
internal static class BoundRules
{
    /// <summary>The rule compares three samples but speaks from the fourth on, as its specification has it.</summary>
    private const int SmallestSampleCount = 4;

    /// <summary>Whether κ waits for R of the parameter before this step.</summary>
    public static bool NeedsInitialMeasure(in ConstraintSettings settings, in ConstraintState state) =>
        settings.Method == BoundKind.Dependent && !state.IsSet;

    /// <summary>Takes R of the parameter before its first step.</summary>
    public static void SetFromInitial(in ConstraintSettings settings, ref ConstraintState state, double measure)
    {
        state.Kappa = settings.KappaFactor * measure;
        state.IsSet = true;
    }

    /// <summary>Whether step <paramref name="step"/> needs R of the updated parameter.</summary>
    public static bool NeedsMeasure(in ConstraintSettings settings, in ConstraintState state, long step) =>
        state.IsSet || settings.Method switch
        {
            BoundKind.WarmStart => step == settings.WarmStartSteps,
            BoundKind.InflectionPoint => IsSampled(settings, step) || IsOverdue(settings, step),
            _ => false,
        };

    /// <summary>Takes R of the updated parameter: λ ← max(0, λ + μ_eff·(R − κ)), or the initialiser's part while κ is unset.</summary>
    /// <returns>The λ to descend with; 0 where the parameter stays as it is.</returns>
    public static double Advance(in ConstraintSettings settings, ref ConstraintState state, long step, double measure)
    {
        if (state.IsSet)
        {
            double before = state.Lambda;
            state.Lambda = Math.Max(0, before + (settings.KappaUpdate * (measure - state.Kappa)));
            state.EverActive |= state.Lambda > 0;
            if (settings.Adaptive && before > 0 && state.Lambda == 0)
                state.Kappa = measure;
            return state.Lambda;
        }
        bool sets = settings.Method == BoundKind.WarmStart
            || (IsSampled(settings, step) && Sample(settings, ref state, measure))
            || IsOverdue(settings, step);
        if (sets)
        {
            state.Kappa = measure;
            state.Lambda = 0;
            state.IsSet = true;
        }
        return 0;
    }

    private static bool IsSampled(in ConstraintSettings settings, long step) => step % settings.SampleInterval == 0;

    private static bool IsOverdue(in ConstraintSettings settings, long step) =>
        settings.MaxWaitSteps > 0 && step >= settings.MaxWaitSteps;

    /// <summary>e ← d·e + (1−d)·R, seeded with the first sample.</summary>
    /// <returns>Whether (e_k − e_{k−1}) − (e_{k−1} − e_{k−2}) is negative, from the fourth sample on.</returns>
    private static bool Sample(in ConstraintSettings settings, ref ConstraintState state, double measure)
    {
        double sample = state.Samples == 0
            ? measure
            : (settings.SampleDecay * state.LastSample) + ((1 - settings.SampleDecay) * measure);
        // Earlier samples were stored as float. Compared with an unrounded one, a constant R would seem to bend.
        sample = (float)sample;
        state.Samples++;
        bool bends = state.Samples >= SmallestSampleCount
            && sample - state.LastSample - (state.LastSample - state.EarlierSample) < 0;
        state.EarlierSample = state.LastSample;
        state.LastSample = sample;
        return bends;
    }
}
