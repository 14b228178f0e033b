using OrtCpr.Collectives;
using OrtCpr.Graph;

namespace OrtCpr;

// What a driver does as one of several ranks.
public sealed partial class TrainingDriver
{
    /// <summary>Batches since gradients were reset, those of them that have examples, and their rows.</summary>
    private int _turns, _batches;
    private long _rows;
    private GradientExchange? _exchange;
    private OuterExchange? _outer;
    private StatisticExchange? _statistics;

    /// <summary>Whether ranks make steps of their own now, by an <see cref="OuterOptimizer"/>.</summary>
    internal bool IsLocal => _outer?.IsLocal == true;

    /// <summary>Whether the last optimizer step ended with an exchange, so that parameters are equal on all ranks.</summary>
    internal bool IsSynchronous { get; private set; } = true;

    /// <summary>With an <see cref="OuterOptimizer"/> makes the outer step now, so that all ranks have the same parameters; else nothing has
    /// to be done. All ranks call it after the same step.</summary>
    /// <exception cref="CollectiveException">The collective reports an error.</exception>
    public void Synchronize()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _outer?.Run();
        IsSynchronous = true;
    }

    /// <summary>A step of this rank as one of several.</summary>
    private bool StepAsRank(double gradientScale)
    {
        if (Optimizer.Options.OuterOptimizer is OuterOptimizer options)
            _outer ??= new OuterExchange(Optimizer.Ranks, Optimizer.Store, Plan, options);
        bool applied;
        if (!IsLocal)
        {
            applied = Optimizer.Step(gradientScale * ExchangeGradients());
        }
        else
        {
            if (_batches == 0) Exchange.Clear(Optimizer.Frozen);
            applied = Optimizer.Step(gradientScale * AccumulationFactor);
        }
        IsSynchronous = _outer?.AfterStep(Optimizer.Steps, () => Optimizer.GetConstraints().All(c => c.IsSet)) ?? true;
        return applied;
    }

    private GradientExchange Exchange => _exchange ??=
        new GradientExchange(Optimizer.Ranks, Optimizer.Store, Plan, isLaidOutAlike: Optimizer.Shard is null);

    /// <summary>This rank has no examples while others have: it counts the batch and computes nothing.</summary>
    private double PassOver()
    {
        if (_resetPending && Optimizer.HoldFrozen()) LeaveOutFrozen();
        AccumulatedSteps = ++_turns;
        return double.NaN;
    }

    /// <summary>Sums that a graph exchanges are added up by a kernel of the CPU.</summary>
    private void RefuseSumsOverRanks()
    {
        if (!Optimizer.Ranks.AreMany || !Plan.SumsOverRanks || (Optimizer.Device.IsHost && Optimizer.Options.Kernels)) return;
        throw new CollectiveException($"{nameof(TrainingOptions.SynchronizeBatchNormalization)} is for several processes on 'cpu' with "
            + $"kernels, and this driver is on '{Optimizer.Device.Name}'{(Optimizer.Options.Kernels ? "" : " without kernels")}. "
            + "Leave it out: statistics are then those of each rank's batch.");
    }

    private void Count(long rows)
    {
        AccumulatedSteps = ++_turns;
        _resetPending = false;
        (_batches, _rows) = (_batches + 1, _rows + rows);
    }

    private void LeaveOutFrozen()
    {
        _training.LeaveOut(Optimizer.Frozen);
        _exchange?.Forget();
    }

    /// <summary>Makes the gradients those of one batch of all that the ranks have trained on.</summary>
    /// <returns>What they are to be multiplied by, as <see cref="AccumulationFactor"/> for a rank alone.</returns>
    private double ExchangeGradients()
    {
        _statistics ??= new StatisticExchange(Optimizer.Ranks, Optimizer.Store, Plan, TensorRole.PendingStatistic);
        _statistics.Run();
        bool isWeighed = _weight is not null && (WeighBatches || AccumulatedSteps == 1);
        double weight = _batches == 0 ? 0 : _weight is null ? _rows : Optimizer.Store.Number(_weight, 1);
        double first = _batches == 0 ? 0 : Plan.LossIsSum ? 1 : isWeighed ? Optimizer.Store.Number(_weight!, 0) : weight;
        double factor = Exchange.Run(new RankWeight(first, weight), Optimizer.Frozen, Plan.LossIsSum);
        // What is in the buffers now belongs to all ranks: nothing may be added to it.
        int batches = AccumulatedSteps;
        LazyResetGrad();
        return isWeighed && WeighBatches ? factor * batches : factor;
    }
}
