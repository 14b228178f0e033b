using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;

namespace OrtCpr.OrtTraining;

/// <summary>The steps in all forms that the package has; each becomes the one over OrtValues.</summary>
public partial class TrainingSession
{
    private readonly BufferViews _views = new();
    private NamedOutputs? _named;

    /// <summary>Forward and backward over one batch, with outputs in the caller's buffers.</summary>
    /// <param name="inputValues">In the order of <see cref="InputNames"/>.</param>
    /// <param name="outputValues">In the order of <see cref="OutputNames"/>.</param>
    /// <exception cref="ArgumentException">There are not as many buffers as outputs; nothing has run.</exception>
    /// <exception cref="DriverException">The values do not fit the model.</exception>
    public void TrainStep(IReadOnlyCollection<FixedBufferOnnxValue> inputValues, IReadOnlyCollection<FixedBufferOnnxValue> outputValues) =>
        IntoBuffers(TrainStep, _artifacts.TrainingOutputs, inputValues, outputValues);

    /// <summary>Forward and backward over one batch, with outputs in the caller's buffers.</summary>
    /// <param name="options">Not used.</param>
    /// <param name="inputValues">In the order of <see cref="InputNames"/>.</param>
    /// <param name="outputValues">In the order of <see cref="OutputNames"/>.</param>
    /// <exception cref="ArgumentException">There are not as many buffers as outputs; nothing has run.</exception>
    /// <exception cref="DriverException">The values do not fit the model.</exception>
    public void TrainStep(RunOptions options, IReadOnlyCollection<FixedBufferOnnxValue> inputValues,
        IReadOnlyCollection<FixedBufferOnnxValue> outputValues) => TrainStep(inputValues, outputValues);

    /// <summary>Forward and backward over one batch.</summary>
    /// <param name="inputValues">In the order of <see cref="InputNames"/>.</param>
    /// <returns>The outputs by name; the caller's to dispose of.</returns>
    /// <exception cref="DriverException">The values do not fit the model.</exception>
    public IDisposableReadOnlyCollection<DisposableNamedOnnxValue> TrainStep(IReadOnlyCollection<FixedBufferOnnxValue> inputValues)
    {
        using OrtValues inputs = _views.Of(inputValues);
        using IDisposableReadOnlyCollection<OrtValue> outputs = TrainStep(inputs);
        return (_named ??= new NamedOutputs(_artifacts.TrainingOutputs, outputs)).Of(outputs);
    }

    /// <summary>Forward and backward over one batch.</summary>
    /// <param name="options">Not used.</param>
    /// <param name="inputValues">In the order of <see cref="InputNames"/>.</param>
    /// <returns>The outputs by name; the caller's to dispose of.</returns>
    /// <exception cref="DriverException">The values do not fit the model.</exception>
    public IDisposableReadOnlyCollection<DisposableNamedOnnxValue> TrainStep(RunOptions options,
        IReadOnlyCollection<FixedBufferOnnxValue> inputValues) => TrainStep(inputValues);

    /// <summary>Forward and backward over one batch. Gradients add up until <see cref="LazyResetGrad"/>.</summary>
    /// <param name="inputValues">In the order of <see cref="InputNames"/>.</param>
    /// <returns>The outputs in the order of <see cref="OutputNames"/>; the caller's to dispose of.</returns>
    /// <exception cref="DriverException">The values do not fit the model.</exception>
    public IDisposableReadOnlyCollection<OrtValue> TrainStep(IReadOnlyCollection<OrtValue> inputValues)
    {
        RefuseNominal();
        using Batch batch = BatchOf(inputValues, _artifacts.TrainingInputs);
        Driver.TrainStep(batch, readLoss: false);
        return new OrtValues(Driver.LastOutputs(_artifacts.TrainingOutputs));
    }

    /// <summary>Loss and outputs of one batch in evaluation form, in the caller's buffers.</summary>
    /// <param name="inputValues">In the order of <see cref="InputNames"/>.</param>
    /// <param name="outputValues">In the order of <see cref="OutputNames"/>.</param>
    /// <exception cref="ArgumentException">There are not as many buffers as outputs; nothing has run.</exception>
    /// <exception cref="OrtCprException">The values do not fit the model, or there is no evaluation model.</exception>
    public void EvalStep(IReadOnlyCollection<FixedBufferOnnxValue> inputValues, IReadOnlyCollection<FixedBufferOnnxValue> outputValues) =>
        IntoBuffers(EvalStep, _artifacts.EvaluationOutputs, inputValues, outputValues);

    /// <summary>Loss and outputs of one batch in evaluation form, in the caller's buffers.</summary>
    /// <param name="options">Not used.</param>
    /// <param name="inputValues">In the order of <see cref="InputNames"/>.</param>
    /// <param name="outputValues">In the order of <see cref="OutputNames"/>.</param>
    /// <exception cref="ArgumentException">There are not as many buffers as outputs; nothing has run.</exception>
    /// <exception cref="OrtCprException">The values do not fit the model, or there is no evaluation model.</exception>
    public void EvalStep(RunOptions options, IReadOnlyCollection<FixedBufferOnnxValue> inputValues,
        IReadOnlyCollection<FixedBufferOnnxValue> outputValues) => EvalStep(inputValues, outputValues);

    /// <summary>Loss and outputs of one batch in evaluation form. Nothing changes.</summary>
    /// <param name="inputValues">In the order of <see cref="InputNames"/>.</param>
    /// <returns>The outputs in the order of <see cref="OutputNames"/>; the caller's to dispose of.</returns>
    /// <exception cref="OrtCprException">The values do not fit the model, or there is no evaluation model.</exception>
    public IDisposableReadOnlyCollection<OrtValue> EvalStep(IReadOnlyCollection<OrtValue> inputValues)
    {
        RefuseNominal();
        using Batch batch = BatchOf(inputValues, _artifacts.EvaluationInputs);
        return Driver.Evaluate(batch, [Driver.Plan.LossOutput, .. Driver.Plan.ModelOutputs]);
    }

    private static Batch BatchOf(IReadOnlyCollection<OrtValue> values, IReadOnlyList<string> names)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (values.Count != names.Count)
            throw new DriverException($"The step takes {names.Count} inputs ({string.Join(", ", names)}); found {values.Count}.");
        return Batch.Over(names.Zip(values));
    }

    private void IntoBuffers(Func<IReadOnlyCollection<OrtValue>, IDisposableReadOnlyCollection<OrtValue>> step,
        IReadOnlyList<string> names, IReadOnlyCollection<FixedBufferOnnxValue> inputValues,
        IReadOnlyCollection<FixedBufferOnnxValue> outputValues)
    {
        ArgumentNullException.ThrowIfNull(outputValues);
        if (outputValues.Count != names.Count)
        {
            throw new ArgumentException($"The step gives {names.Count} outputs ({string.Join(", ", names)}); found {outputValues.Count} "
                + "buffers.", nameof(outputValues));
        }
        using OrtValues inputs = _views.Of(inputValues), buffers = _views.Of(outputValues);
        using IDisposableReadOnlyCollection<OrtValue> outputs = step(inputs);
        for (int i = 0; i < outputs.Count; i++)
        {
            OrtTensorTypeAndShapeInfo from = outputs[i].GetTensorTypeAndShape(), to = buffers[i].GetTensorTypeAndShape();
            if (from.ElementDataType != to.ElementDataType || !from.Shape.SequenceEqual(to.Shape))
            {
                throw new DriverException(
                    $"Output {i} is {from.ElementDataType}[{string.Join(',', from.Shape)}]; "
                    + $"its buffer is {to.ElementDataType}[{string.Join(',', to.Shape)}].");
            }
            outputs[i].GetTensorMutableRawData().CopyTo(buffers[i].GetTensorMutableRawData());
        }
    }
}
