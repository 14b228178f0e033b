using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.Graph;

namespace OrtCpr.Collectives;

/// <summary>What one rank has trained on since gradients were reset.</summary>
/// <param name="First">By what its gradients have to be multiplied to count as all of their batches together do: 0 where it has
/// none.</param>
/// <param name="Weight">What its losses divided by, in sum.</param>
internal readonly record struct RankWeight(double First, double Weight);

/// <summary>Makes the gradients of all ranks those of one batch of all their examples, in place, before an optimizer step.</summary>
/// <remarks>
/// Each rank has S_r/f_r in its buffers, S_r being the sum of gradient · weight over its batches; wanted is Σ S_r / Σ w_r. Where all f_r
/// are equal the buffers are added as they are, and f / Σ w goes into the factor that the optimizer applies anyway; else they are first
/// multiplied by f_r / max f. A value that is not finite stays so in the sum, and the step is skipped everywhere.
/// </remarks>
internal sealed class GradientExchange : IDisposable
{
    private readonly Ranks _ranks;
    private readonly TensorStore _store;
    private readonly TrainingPlan _plan;
    private readonly bool _isLaidOutAlike;
    private TensorExchange? _tensors;

    /// <param name="ranks">Stay the caller's.</param>
    /// <param name="store">Has the gradients; stays the caller's.</param>
    /// <param name="plan">Its table.</param>
    /// <param name="isLaidOutAlike">Whether all ranks have them in the same places.</param>
    public GradientExchange(Ranks ranks, TensorStore store, TrainingPlan plan, bool isLaidOutAlike)
    {
        _ranks = ranks;
        _store = store;
        _plan = plan;
        _isLaidOutAlike = isLaidOutAlike;
    }

    /// <summary>Other gradients are computed from now on.</summary>
    public void Forget()
    {
        _tensors?.Dispose();
        _tensors = null;
    }

    /// <summary>A rank without examples has gradients of 0.</summary>
    public void Clear(IReadOnlyCollection<string> frozen)
    {
        foreach (OrtValue view in Tensors(frozen).Views) _store.Device.Clear(view);
    }

    /// <summary>Adds up and returns what the sum has to be multiplied by.</summary>
    /// <param name="own">What this rank has trained on.</param>
    /// <param name="frozen">Parameters without a gradient.</param>
    /// <param name="isSum">Whether the loss divides by nothing, so that gradients of more examples just add up.</param>
    public double Run(RankWeight own, IReadOnlyCollection<string> frozen, bool isSum)
    {
        double[][] all = _ranks.Gather(own.First, own.Weight);
        double most = all.Max(r => r[0]), weight = all.Sum(r => r[1]);
        TensorExchange tensors = Tensors(frozen);
        if (own.First != most || own.First == 0) MultiplyBy(most == 0 ? 0 : own.First / most);
        foreach (OrtValue view in tensors.Views) _ranks.Sum(view);
        return isSum || weight == 0 ? 1 : most / weight;
    }

    public void Dispose() => Forget();

    private TensorExchange Tensors(IReadOnlyCollection<string> frozen) => _tensors ??= new TensorExchange(_store, _plan,
        TensorRole.Gradient, [.. _plan.Trained.Select(p => p.Name).Where(n => !frozen.Contains(n))], _isLaidOutAlike);

    /// <summary>Of a ragged batch only, so a pass over the host's memory is fast enough on every device. By 0 whatever is there
    /// goes.</summary>
    private void MultiplyBy(double factor)
    {
        foreach (OrtValue view in _tensors!.Views)
        {
            if (factor == 0)
            {
                _store.Device.Clear(view);
                continue;
            }
            TensorExchange.Multiply(_store.Device, view, factor);
        }
    }
}
