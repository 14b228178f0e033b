using OrtCpr.Graph;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>A training task by <see cref="TrainingDriver"/>.</summary>
internal sealed class OurTraining : ITrainingSide
{
    private readonly TrainingDriver _driver;
    private readonly Batch _batch;

    /// <param name="model">Path of the task's model file.</param>
    /// <param name="task">What is trained.</param>
    /// <param name="threads">Threads of the sessions.</param>
    /// <param name="profiles">Folder for profiles of the sessions; null for none.</param>
    /// <param name="recompute">Whether the results of the task's blocks are computed again in the backward pass.</param>
    public OurTraining(string model, TrainingTask task, int threads, string? profiles = null, bool recompute = false)
    {
        TrainingOptions options = recompute && task.Blocks is not null ? task.Options with { Recompute = [task.Blocks] } : task.Options;
        _driver = TrainingDriver.Create(model, options, new DriverOptions { Threads = threads, Profiles = profiles });
        _batch = task.NewBatch();
    }

    /// <summary>The weights before the first step, by name.</summary>
    public IReadOnlyDictionary<string, TensorData> Weights => _driver.Plan.InitialParameters;

    /// <summary>Bytes of everything that the driver keeps from step to step: parameters, gradients, moments, running
    /// statistics, the constraint's state.</summary>
    public long StateBytes => _driver.Optimizer.Store.Names.Sum(n => _driver.Optimizer.Store[n].GetTensorSizeInBytes());

    public double Step()
    {
        _driver.LazyResetGrad();
        double loss = _driver.TrainStep(_batch);
        _driver.OptimizerStep();
        return loss;
    }

    /// <summary>The optimizer's run alone, on the gradients that are there.</summary>
    public void OptimizerRun() => _driver.OptimizerStep();

    /// <summary>Looks whether λ is above 0 for every matrix.</summary>
    public void CheckMultipliers() => OurSides.CheckMultipliers(_driver.Optimizer, positive: true);

    public void Dispose()
    {
        _batch.Dispose();
        _driver.Dispose();
    }
}
