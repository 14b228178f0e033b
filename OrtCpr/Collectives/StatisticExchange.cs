using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.Graph;

namespace OrtCpr.Collectives;

/// <summary>Makes running statistics their mean over the ranks, in place. Owns views of them.</summary>
internal sealed class StatisticExchange : IDisposable
{
    private readonly Ranks _ranks;
    private readonly TensorStore _store;
    private readonly TensorExchange _tensors;

    /// <param name="ranks">Stay the caller's.</param>
    /// <param name="store">Has the statistics; stays the caller's.</param>
    /// <param name="plan">Its table.</param>
    /// <param name="role">Those of the last step, or those that are about to be committed.</param>
    public StatisticExchange(Ranks ranks, TensorStore store, TrainingPlan plan, TensorRole role)
    {
        _ranks = ranks;
        _store = store;
        // No rank keeps a part of them, so they lie in the same places everywhere.
        _tensors = new TensorExchange(store, plan, role, [.. plan.Slots.Where(s => s.Role == role).Select(s => s.Owner!)],
            isLaidOutAlike: true);
    }

    public void Run()
    {
        foreach (OrtValue view in _tensors.Views)
        {
            _ranks.Sum(view);
            TensorExchange.Multiply(_store.Device, view, 1.0 / _ranks.Size);
        }
    }

    public void Dispose() => _tensors.Dispose();
}
