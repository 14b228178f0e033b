using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Sessions;

namespace OrtCpr;

/// <summary>Runs a <see cref="GradientModel"/> on a device: vector-Jacobian products beside the model's own outputs,
/// nothing trained.</summary>
/// <remarks>The same kernels and the same changes for the device as in training. Not thread-safe.</remarks>
public sealed class GradientSession : IDisposable
{
    private readonly Device _device;
    private readonly BatchSessions _sessions;
    private bool _disposed;

    /// <summary>Opens the device and, where sizes may change from run to run, the session.</summary>
    /// <param name="model">What to run.</param>
    /// <param name="options">Device, threads, kernels; null for the defaults.</param>
    /// <exception cref="OptionException">An option is out of range.</exception>
    /// <exception cref="DeviceException">The device is not there, or has no kernel for a node.</exception>
    /// <exception cref="DriverException">ONNX Runtime does not accept the graph.</exception>
    public GradientSession(GradientModel model, DriverOptions? options = null) : this(model, options, Precision.Float32)
    {
    }

    internal GradientSession(GradientModel model, DriverOptions? options, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(model);
        options ??= new DriverOptions();
        options.Validate();
        TrainingDriver.RefusePrecision(precision, options.Device);
        Outputs = [.. model.Model.Graph.Outputs.Select(o => o.Name)];
        _device = options.Open();
        try
        {
            _sessions = new BatchSessions(model.Model, "gradient", options, _device, bind: null, precision);
        }
        catch
        {
            _device.Dispose();
            throw;
        }
    }

    /// <summary>Outputs of the model and gradients, in the graph's order.</summary>
    public IReadOnlyList<string> Outputs { get; }

    /// <summary>Computes the model's outputs and the gradients for one batch. Nothing is kept from run to run.</summary>
    /// <param name="batch">Every input of the gradient model: the model's, and a cotangent an output (<see
    /// cref="GradientModel.CotangentOf"/>).</param>
    /// <param name="outputs">Which of the <see cref="Outputs"/> to compute; all when none is given.</param>
    /// <returns>The values, on the host.</returns>
    /// <exception cref="DriverException">An input is missing, an output does not exist, or ONNX Runtime stopped.</exception>
    public IReadOnlyDictionary<string, TensorData> Run(Batch batch, params IReadOnlyList<string> outputs)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(outputs);
        ObjectDisposedException.ThrowIf(_disposed, this);
        string[] unknown = [.. outputs.Where(o => !Outputs.Contains(o)).Select(o => $"'{o}'")];
        if (unknown.Length > 0)
        {
            throw new DriverException(
                $"The gradient model has no output {string.Join(", ", unknown)}; it has {string.Join(", ", Outputs)}.");
        }
        string[] names = outputs.Count == 0 ? [.. Outputs] : [.. outputs.Distinct()];
        using IDisposableReadOnlyCollection<OrtValue> results = _sessions.Run(batch, names, "gradient");
        return names.Zip(results).ToDictionary(r => r.First, r => Device.ReadOnHost(r.Second), StringComparer.Ordinal);
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
