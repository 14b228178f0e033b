using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.OrtTraining;
using OrtCpr.Schedules;

namespace OrtCpr.OrtTraining;

/// <summary>ONNX Runtime's training session on stock ONNX Runtime: the same members over the same files, without the
/// training package.</summary>
/// <remarks>Members and meaning are those of <c>Microsoft.ML.OnnxRuntime.TrainingSession</c>, so a program for the
/// retired package changes its <c>using</c> lines only. <see cref="Driver"/> gives what lies beneath. Where the package
/// was at fault, docs/artifacts.md says what happens here. Errors that the package's managed code raised have its types; for those of
/// its runtime, whose exception nobody else can make, there are <see cref="OrtCprException"/>s. Not thread-safe.</remarks>
public partial class TrainingSession : IDisposable
{
    private const float DefaultRate = 1e-3f;

    private readonly CheckpointState _state;
    private readonly OrtArtifacts _artifacts;
    private float _initialRate;
    private LinearSchedule? _schedule;
    private long _scheduleSteps;
    private bool _nominal;

    /// <summary>A session with training, evaluation and optimizer model.</summary>
    /// <param name="state">What to train; must outlive the session.</param>
    /// <param name="trainModelPath">Training model.</param>
    /// <param name="evalModelPath">Evaluation model.</param>
    /// <param name="optimizerModelPath">Optimizer model, of the package or of ours.</param>
    /// <exception cref="OrtCprException">A model is missing or damaged, does not belong to the state, or has operators
    /// without a counterpart.</exception>
    public TrainingSession(CheckpointState state, string trainModelPath, string evalModelPath, string optimizerModelPath)
        : this(new DriverOptions(), state, trainModelPath, evalModelPath, optimizerModelPath)
    {
    }

    /// <summary>A session without an evaluation model.</summary>
    /// <param name="state">What to train; must outlive the session.</param>
    /// <param name="trainModelPath">Training model.</param>
    /// <param name="optimizerModelPath">Optimizer model, of the package or of ours.</param>
    /// <exception cref="OrtCprException">A model is missing or damaged, does not belong to the state, or has operators
    /// without a counterpart.</exception>
    public TrainingSession(CheckpointState state, string trainModelPath, string optimizerModelPath) : this(new DriverOptions(), state,
        trainModelPath, null, optimizerModelPath)
    {
    }

    /// <summary>A session with options, of which the number of threads counts.</summary>
    /// <param name="options">Stays the caller's.</param>
    /// <param name="state">What to train; must outlive the session.</param>
    /// <param name="trainModelPath">Training model.</param>
    /// <param name="evalModelPath">Evaluation model.</param>
    /// <param name="optimizerModelPath">Optimizer model, of the package or of ours.</param>
    /// <exception cref="OrtCprException">A model is missing or damaged, does not belong to the state, or has operators
    /// without a counterpart.</exception>
    public TrainingSession(SessionOptions options, CheckpointState state, string trainModelPath, string evalModelPath,
        string optimizerModelPath)
        : this(new DriverOptions
        { Threads = (options ?? throw new ArgumentNullException(nameof(options))).IntraOpNumThreads }, state, trainModelPath,
            evalModelPath, optimizerModelPath)
    {
    }

    /// <summary>A session on a device of one's choice, which the package did not have.</summary>
    /// <param name="options">Threads, kernels, device.</param>
    /// <param name="state">What to train; must outlive the session.</param>
    /// <param name="trainModelPath">Training model.</param>
    /// <param name="evalModelPath">Evaluation model; null for none.</param>
    /// <param name="optimizerModelPath">Optimizer model, of the package or of ours.</param>
    /// <exception cref="OrtCprException">A model is missing or damaged, does not belong to the state, or has operators
    /// without a counterpart.</exception>
    public TrainingSession(DriverOptions options, CheckpointState state, string trainModelPath, string? evalModelPath,
        string optimizerModelPath)
    {
        ArgumentNullException.ThrowIfNull(state);
        _state = state;
        _artifacts = OrtArtifacts.Read(trainModelPath, evalModelPath, optimizerModelPath, state.Checkpoint);
        _nominal = state.Checkpoint.IsNominal;
        _initialRate = state.Checkpoint.Optimizer?.InitialLearningRate ?? DefaultRate;
        Driver = TrainingDriver.FromArtifacts(_artifacts, state.Checkpoint, options);
        state.Session = this;
    }

    /// <summary>The driver beneath: gradients, schedules, freezing, and all else that the package's session had not.</summary>
    public TrainingDriver Driver { get; }

    /// <summary>Makes the next TrainStep overwrite the gradients instead of adding to them.</summary>
    public void LazyResetGrad() => Driver.LazyResetGrad();

    /// <summary>Sets the learning rate. It is 0.001 after a load, whatever it was before.</summary>
    /// <param name="learningRate">At least 0.</param>
    /// <exception cref="InvalidOperationException">A scheduler is registered.</exception>
    /// <exception cref="DriverException">The rate is out of range.</exception>
    public void SetLearningRate(float learningRate)
    {
        if (_schedule is not null)
        {
            throw new InvalidOperationException("A scheduler sets the learning rate. Call SetLearningRate without "
                + "RegisterLinearLRScheduler.");
        }
        SetRate(learningRate);
    }

    /// <summary>The learning rate that the next step uses.</summary>
    public float GetLearningRate() => (float)Driver.Optimizer.GetLearningRate();

    /// <summary>Registers a linear schedule that <see cref="SchedulerStep"/> advances: up to the initial rate over the
    /// warm-up, then down to 0 at the total; it goes on from the step of the checkpoint.</summary>
    /// <param name="warmupStepCount">Steps of the warm-up, at least 0.</param>
    /// <param name="totalStepCount">Steps until the rate is 0, warm-up included; at least 1.</param>
    /// <param name="initialLearningRate">The rate at the end of the warm-up, at least 0.</param>
    /// <exception cref="InvalidOperationException">One is registered already.</exception>
    /// <exception cref="OrtCprException">A number is out of range.</exception>
    public void RegisterLinearLRScheduler(long warmupStepCount, long totalStepCount, float initialLearningRate)
    {
        if (_schedule is not null)
            throw new InvalidOperationException("A scheduler is registered already. Make another session for another schedule.");
        var schedule = new LinearSchedule(totalStepCount, warmupStepCount);
        schedule.Validate();
        // Refuses a rate out of range, of which a factor of 0 would make 0.
        SetRate(initialLearningRate);
        Driver.Optimizer.SetSchedule(null);
        (_schedule, _scheduleSteps, _initialRate) = (schedule, Driver.Optimizer.Steps, initialLearningRate);
        SetRate(initialLearningRate * schedule.Factor(_scheduleSteps));
    }

    /// <summary>Advances the schedule by one step.</summary>
    /// <exception cref="InvalidOperationException">None is registered.</exception>
    public void SchedulerStep()
    {
        if (_schedule is null) throw new InvalidOperationException("No scheduler is registered. Call RegisterLinearLRScheduler first.");
        _scheduleSteps++;
        SetRate(_initialRate * _schedule.Factor(_scheduleSteps));
    }

    private void SetRate(double rate)
    {
        for (int g = 0; g < Driver.Optimizer.Plan.Optimizer.Groups.Length; g++) Driver.Optimizer.SetLearningRate(rate, g);
    }

    /// <summary>One optimizer step from the accumulated gradients.</summary>
    /// <exception cref="DriverException">No TrainStep has run, or the state is nominal.</exception>
    public void OptimizerStep()
    {
        RefuseNominal();
        Driver.OptimizerStep();
    }

    /// <summary>One optimizer step from the accumulated gradients.</summary>
    /// <param name="options">Not used.</param>
    /// <exception cref="DriverException">No TrainStep has run, or the state is nominal.</exception>
    public void OptimizerStep(RunOptions options) => OptimizerStep();

    /// <summary>Writes the trained model with the given outputs, which may be any values of the evaluation model.</summary>
    /// <param name="inferenceModelPath">The file to write.</param>
    /// <param name="graphOutputNames">At least one.</param>
    /// <exception cref="OrtCprException">There is no evaluation model or no such value, or the file can't be written.</exception>
    public void ExportModelForInferencing(string inferenceModelPath, IReadOnlyCollection<string> graphOutputNames)
    {
        ArgumentNullException.ThrowIfNull(graphOutputNames);
        RefuseNominal();
        ModelFile model = _artifacts.Inference(graphOutputNames);
        var used = model.Proto.Graph.Initializer.Select(i => i.Name).ToHashSet(StringComparer.Ordinal);
        Dictionary<string, TensorData> values = _artifacts.Parameters.Where(p => used.Contains(p.Name))
            .ToDictionary(p => p.Name, p => Driver.Optimizer.Get(p.Name), StringComparer.Ordinal);
        ModelFile.Save(model.Proto, inferenceModelPath, initializers: values);
    }

    /// <summary>All parameters one after the other in one vector, in the order of the training model's inputs.</summary>
    /// <param name="onlyTrainable">Without frozen ones.</param>
    /// <exception cref="DriverException">A parameter is not of type float, or the state is nominal.</exception>
    public OrtValue ToBuffer(bool onlyTrainable)
    {
        RefuseNominal();
        OrtParameter[] parts = Parts(onlyTrainable);
        OrtValue buffer = OrtCpr.Devices.Device.AllocateOnHost(ElementType.Float, [parts.Sum(Count)]);
        Span<byte> left = buffer.GetTensorMutableRawData();
        foreach (OrtParameter p in parts)
        {
            ReadOnlySpan<byte> bytes = Driver.Optimizer.Get(p.Name).Bytes.Span;
            bytes.CopyTo(left);
            left = left[bytes.Length..];
        }
        return buffer;
    }

    /// <summary>Overwrites all parameters from a vector as <see cref="ToBuffer"/> gives it. Gives a nominal state its values.</summary>
    /// <param name="ortValue">The vector.</param>
    /// <param name="onlyTrainable">Without frozen ones; not for a nominal state.</param>
    /// <exception cref="ArgumentException">It is no vector, or its length differs; nothing has changed.</exception>
    /// <exception cref="DriverException">Its type differs, or the state is nominal and <paramref name="onlyTrainable"/> is on; nothing
    /// has changed.</exception>
    public void FromBuffer(OrtValue ortValue, bool onlyTrainable)
    {
        ArgumentNullException.ThrowIfNull(ortValue);
        if (!ortValue.IsTensor || ortValue.GetTensorTypeAndShape().Shape.Length != 1)
        {
            throw new ArgumentException($"Expected a vector; found {(!ortValue.IsTensor ? $"{ortValue.OnnxType}"
                : $"a tensor of rank {ortValue.GetTensorTypeAndShape().Shape.Length}")}.", nameof(ortValue));
        }
        if (_nominal && onlyTrainable)
            throw new DriverException("The state is nominal: give it all parameters, with onlyTrainable = false.");
        OrtParameter[] parts = Parts(onlyTrainable);
        TensorData buffer = OrtCpr.Devices.Device.ReadOnHost(ortValue);
        string expected = $"The buffer is {buffer}; expected Float[{parts.Sum(Count)}], the {(onlyTrainable ? "trained " : "")}parameters "
            + "of this model.";
        if (buffer.Type != ElementType.Float) throw new DriverException(expected);
        if (buffer.ElementCount != parts.Sum(Count)) throw new ArgumentException(expected, nameof(ortValue));
        ReadOnlySpan<byte> left = buffer.Bytes.Span;
        TensorStore store = Driver.Optimizer.Store;
        foreach (OrtParameter p in parts)
        {
            int bytes = checked((int)Count(p) * sizeof(float));
            store.WriteBytes(p.Name, left[..bytes]);
            left = left[bytes..];
        }
        _nominal = false;
    }

    /// <summary>Overwrites the trained parameters, or all, from a vector; its length says which. Earlier releases of the package had this
    /// form.</summary>
    /// <param name="buffer">The vector.</param>
    /// <exception cref="ArgumentException">It is no vector, or of another length; nothing has changed.</exception>
    /// <exception cref="DriverException">Its type differs; nothing has changed.</exception>
    public void FromBuffer(OrtValue buffer)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        bool onlyTrainable = !_nominal && buffer.IsTensor
            && buffer.GetTensorTypeAndShape().ElementCount == Parts(onlyTrainable: true).Sum(Count);
        FromBuffer(buffer, onlyTrainable);
    }

    /// <summary>The outputs that a TrainStep or an EvalStep gives, loss first.</summary>
    /// <param name="training">Of a TrainStep; else of an EvalStep.</param>
    public List<string> OutputNames(bool training) => [.. training ? _artifacts.TrainingOutputs : _artifacts.EvaluationOutputs];

    /// <summary>The inputs that a TrainStep or an EvalStep takes, in order.</summary>
    /// <param name="training">Of a TrainStep; else of an EvalStep.</param>
    public List<string> InputNames(bool training) => [.. training ? _artifacts.TrainingInputs : _artifacts.EvaluationInputs];

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the sessions; the state keeps what it had at the end.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (!disposing || _state.Session != this) return;
        if (!_nominal) _state.Checkpoint = Capture(includeOptimizer: true);
        _state.Session = null;
        _named?.Dispose();
        _views.Dispose();
        Driver.Dispose();
    }

    internal OrtCheckpoint Capture(bool includeOptimizer)
    {
        RefuseNominal();
        return ArtifactState.Capture(Driver.Optimizer, _state.Checkpoint, _initialRate, includeOptimizer);
    }

    internal TensorData GetParameter(string name)
    {
        RefuseNominal();
        return Driver.Optimizer.Get(Checked(name));
    }

    internal void SetParameter(string name, TensorData value)
    {
        RefuseNominal();
        Driver.Optimizer.Set(Checked(name), value);
    }

    private string Checked(string name) => _artifacts.Parameters.Any(p => p.Name == name) ? name
        : throw new DriverException(
            $"The model has no parameter '{name}'; it has: {string.Join(", ", _artifacts.Parameters.Select(p => p.Name).Take(20))}.");

    private static long Count(OrtParameter p) => p.Dimensions.Aggregate(1L, (n, d) => n * d);

    private OrtParameter[] Parts(bool onlyTrainable)
    {
        OrtParameter[] parts = [.. _artifacts.Parameters.Where(p => p.Trainable || !onlyTrainable)];
        return parts.FirstOrDefault(p => p.Type != ElementType.Float) is OrtParameter other
            ? throw new DriverException(
                $"Parameter '{other.Name}' is {other.Type}; a buffer holds parameters of type Float only. "
                + "Use CheckpointState.GetParameter.") : parts;
    }

    private void RefuseNominal()
    {
        if (_nominal) throw new DriverException("The state is nominal, it has no values. Call FromBuffer with all parameters first.");
    }
}
