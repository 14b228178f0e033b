using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Metrics;
using OrtCpr.Sessions;

namespace OrtCpr;

/// <summary>Loss and metrics of a model file, without anything that training takes. Owns its session.</summary>
internal sealed class ModelEvaluation : IDisposable
{
    private readonly GraphSession _session;
    private readonly Device _device;

    /// <summary>Makes the session.</summary>
    /// <param name="path">Model file.</param>
    /// <param name="loss">The loss.</param>
    /// <param name="options">Threads; the device is the CPU.</param>
    /// <exception cref="OrtCprException">The file, the model or the loss is at fault.</exception>
    public ModelEvaluation(string path, Loss loss, DriverOptions options)
    {
        Plan = EvaluationPlan.Build(path, loss);
        _device = DeviceCatalog.Open("cpu");
        try
        {
            _session = new GraphSession(Plan.Evaluation, "evaluation", options, _device);
        }
        catch
        {
            _device.Dispose();
            throw;
        }
    }

    /// <summary>Its inputs and outputs.</summary>
    public TrainingPlan Plan { get; }

    /// <summary>Mean loss and metrics over the first epoch of a source.</summary>
    public EvaluationReport Run(BatchSource source, IReadOnlyList<Metric> metrics, CancellationToken cancellation)
    {
        var pass = new EvaluationPass(Plan, Evaluate, metrics);
        foreach (Batch batch in source.Batches())
        {
            using (batch)
            {
                cancellation.ThrowIfCancellationRequested();
                pass.Take(batch);
            }
        }
        return pass.Report();
    }

    public void Dispose()
    {
        _session.Dispose();
        _device.Dispose();
    }

    private Evaluation Evaluate(Batch batch, IReadOnlyList<string> outputs)
    {
        batch.Check(Plan.BatchInputs, why: Plan.FixedBatch);
        string[] inputs = [.. _session.Session.InputNames];
        string[] names = [Plan.LossOutput, Plan.LossFigures!, .. outputs.Where(o => o != Plan.LossOutput).Distinct()];
        try
        {
            IDisposableReadOnlyCollection<OrtValue> results =
                _session.Session.Run(_session.RunOptions, inputs, [.. inputs.Select(i => batch.Tensors[i])], names);
            return new Evaluation(names, results, Device.ReadOnHost(results[0]).ToDoubles()[0],
                Device.ReadOnHost(results[1]).ToDoubles());
        }
        catch (OnnxRuntimeException error)
        {
            throw TrainingDriver.Failed("evaluation", error, batch, Plan);
        }
    }
}
