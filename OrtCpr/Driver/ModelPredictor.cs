using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Sessions;

namespace OrtCpr;

/// <summary>Runs a model of which nothing is trained, such as the body in front of a head, on batches of any size where its
/// batch can be freed.</summary>
/// <remarks>The weights are constants of the session, so that ONNX Runtime optimizes the graph as it does for inference, and no gradients,
/// moments or training graphs are made. Operators need no gradient. Not thread-safe.</remarks>
public sealed class ModelPredictor : IDisposable
{
    private readonly InferenceGraph _graph;
    private readonly Device _device;
    private readonly BatchSessions _sessions;
    private bool _disposed;

    private ModelPredictor(InferenceGraph graph, DriverOptions options)
    {
        _graph = graph;
        Outputs = [.. graph.Model.Graph.Outputs.Select(o => o.Name)];
        _device = options.Open();
        try
        {
            _sessions = new BatchSessions(graph.Model, "inference", options, _device, bind: null);
        }
        catch
        {
            _device.Dispose();
            throw;
        }
    }

    /// <summary>Inputs of the model.</summary>
    public IReadOnlyList<BatchInput> Inputs => _graph.Inputs;

    /// <summary>Outputs of the model.</summary>
    public IReadOnlyList<string> Outputs { get; }

    /// <summary>Opens a model file.</summary>
    /// <param name="model">The file; external data are taken from its folder. What it has for training, such as dropout, is switched
    /// off.</param>
    /// <param name="options">Device, threads, kernels; null for the defaults.</param>
    /// <param name="job">Whose <see cref="TrainingOptions.FreeBatch"/> and <see cref="TrainingOptions.BatchAxes"/> hold; nothing else of it
    /// is looked at. Null for the defaults.</param>
    /// <exception cref="OrtCprException">The file, the model, an option or the device is at fault; the message says what to do.</exception>
    public static ModelPredictor Create(string model, DriverOptions? options = null, TrainingOptions? job = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        job ??= new TrainingOptions();
        options ??= new DriverOptions();
        options.Validate();
        return new ModelPredictor(InferenceGraph.Of(ModelFile.Load(model), job.FreeBatch ? job.BatchAxes : null), options);
    }

    /// <summary>Runs the model.</summary>
    /// <param name="batch">The inputs of the model, and nothing else.</param>
    /// <param name="outputs">Which of the <see cref="Outputs"/> to compute; all when none is given.</param>
    /// <returns>The values, on the host; the caller's to dispose of.</returns>
    /// <exception cref="DriverException">The batch does not fit, an output does not exist, or ONNX Runtime stopped.</exception>
    public Prediction Predict(Batch batch, params IReadOnlyList<string> outputs)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(outputs);
        ObjectDisposedException.ThrowIf(_disposed, this);
        batch.Check(Inputs, withLabels: false, _graph.FixedBatch);
        TrainingDriver.RefuseUnknownOutputs(outputs, Outputs);
        string[] names = outputs.Count == 0 ? [.. Outputs] : [.. outputs.Distinct()];
        return new Prediction(names, _sessions.Run(batch, names, "inference"));
    }

    /// <summary>Frees sessions and device memory.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _sessions.Dispose();
        _device.Dispose();
    }
}
