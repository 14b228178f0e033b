using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.OrtTraining;

namespace OrtCpr.OrtTraining;

/// <summary>State of a training job, as ONNX Runtime's training API has it: parameters, optimizer state and the
/// caller's properties.</summary>
/// <remarks>Members and meaning are those of <c>Microsoft.ML.OnnxRuntime.CheckpointState</c>; a <see
/// cref="SafeHandle"/> for the same reason. Must outlive the session that is created on it. Not thread-safe.</remarks>
public class CheckpointState : SafeHandle
{
    internal CheckpointState(OrtCheckpoint checkpoint) : base(nint.Zero, ownsHandle: true)
    {
        Checkpoint = checkpoint;
        SetHandle(1);
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == nint.Zero;

    /// <summary>What was loaded, with the properties of now; the tensors of now are the session's.</summary>
    internal OrtCheckpoint Checkpoint { get; set; }

    internal TrainingSession? Session { get; set; }

    /// <summary>Loads a checkpoint file of any version, or a checkpoint directory of 1.15.</summary>
    /// <param name="checkpointPath">A file, or the folder of 1.15.</param>
    /// <exception cref="OrtCprException">It is missing or damaged.</exception>
    public static CheckpointState LoadCheckpoint(string checkpointPath) => new(OrtCheckpoint.Load(checkpointPath));

    /// <summary>Saves parameters and properties, and the optimizer's state on request, as a version 2 file.</summary>
    /// <param name="state">What to save, with the tensors of the session that is open on it.</param>
    /// <param name="checkpointPath">The file; replaced as a whole.</param>
    /// <param name="includeOptimizerState">Moments, step count, λ and κ too. Default off.</param>
    /// <exception cref="OrtCprException">The file can't be written, or the state is nominal.</exception>
    public static void SaveCheckpoint(CheckpointState state, string checkpointPath, bool includeOptimizerState = false)
    {
        ArgumentNullException.ThrowIfNull(state);
        OrtCheckpoint now = state.Session is TrainingSession session ? session.Capture(includeOptimizerState)
            : includeOptimizerState ? state.Checkpoint.Sorted() : (state.Checkpoint with { Groups = [] }).Sorted();
        now.Save(checkpointPath);
    }

    /// <summary>Adds or replaces a property.</summary>
    /// <param name="propertyName">Its name.</param>
    /// <param name="propertyValue">Kept in the checkpoint.</param>
    public void AddProperty(string propertyName, long propertyValue) => Add(propertyName, propertyValue);

    /// <summary>Adds or replaces a property.</summary>
    /// <param name="propertyName">Its name.</param>
    /// <param name="propertyValue">Kept in the checkpoint.</param>
    public void AddProperty(string propertyName, float propertyValue) => Add(propertyName, propertyValue);

    /// <summary>Adds or replaces a property.</summary>
    /// <param name="propertyName">Its name.</param>
    /// <param name="propertyValue">Kept in the checkpoint.</param>
    public void AddProperty(string propertyName, string propertyValue) =>
        Add(propertyName, propertyValue ?? throw new ArgumentNullException(nameof(propertyValue)));

    /// <summary>The value of a property: <see cref="long"/>, <see cref="float"/> or <see cref="string"/>.</summary>
    /// <param name="propertyName">Its name.</param>
    /// <exception cref="DriverException">There is none of that name.</exception>
    public object GetProperty(string propertyName) => Checkpoint.Properties.TryGetValue(propertyName, out object? value) ? value
        : throw new DriverException(
            $"The checkpoint has no property '{propertyName}'; it has: {string.Join(", ", Checkpoint.Properties.Keys)}.");

    /// <summary>Overwrites a parameter, trained or frozen.</summary>
    /// <param name="parameterName">Its name.</param>
    /// <param name="parameter">A tensor of its type and shape; copied.</param>
    /// <exception cref="ArgumentException">It is no tensor.</exception>
    /// <exception cref="DriverException">There is no such parameter, no session yet, or type or shape differ.</exception>
    public void UpdateParameter(string parameterName, OrtValue parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        if (!parameter.IsTensor) throw new ArgumentException($"Expected a tensor; found {parameter.OnnxType}.", nameof(parameter));
        Attached().SetParameter(parameterName, Device.ReadOnHost(parameter));
    }

    /// <summary>A copy of a parameter, trained or frozen.</summary>
    /// <param name="parameterName">Its name.</param>
    /// <returns>In host memory; the caller's to dispose.</returns>
    /// <exception cref="DriverException">There is no such parameter, or no session yet.</exception>
    public OrtValue GetParameter(string parameterName)
    {
        TensorData data = Attached().GetParameter(parameterName);
        OrtValue copy = Device.AllocateOnHost(data.Type, data.Dimensions);
        data.Bytes.Span.CopyTo(copy.GetTensorMutableRawData());
        return copy;
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        SetHandle(nint.Zero);
        return true;
    }

    private TrainingSession Attached() =>
        Session ?? throw new DriverException("The state belongs to no session yet. Create a TrainingSession on it first.");

    private void Add(string name, object value)
    {
        ArgumentNullException.ThrowIfNull(name);
        Checkpoint = Checkpoint with
        { Properties = new Dictionary<string, object>(Checkpoint.Properties, StringComparer.Ordinal) { [name] = value } };
    }
}
