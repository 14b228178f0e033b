using Microsoft.ML.OnnxRuntime;
using OrtCpr.CustomOps;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Tests.CustomOps;

/// <summary>A session of one operator, run with arrays by operand name. Owns session, options and, unless given, domain.</summary>
internal sealed class OperatorSession : IDisposable
{
    private readonly OperatorDefinition _operator;
    private readonly CustomOpDomain? _ownDomain;
    private readonly SessionOptions _options;
    private readonly InferenceSession _session;

    public OperatorSession(OperatorDefinition definition, int threads = 1, CustomOpDomain? domain = null)
    {
        _operator = definition;
        _ownDomain = domain is null ? new([KernelCatalog.Find(definition)!]) : null;
        _options = new() { IntraOpNumThreads = threads, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        (domain ?? _ownDomain!).AddTo(_options);
        _session = new(OperatorModel.Of(definition), _options);
    }

    /// <summary>A value over the array's own memory.</summary>
    public static OrtValue Value<T>(T[] data, params long[] shape)
        where T : unmanaged
        => OrtValue.CreateTensorValueFromMemory(data, shape);

    /// <summary>Runs with inputs by name, writing to outputs by name.</summary>
    public void Run(IReadOnlyDictionary<string, OrtValue> inputs, IReadOnlyDictionary<string, OrtValue> outputs)
    {
        using RunOptions options = new();
        string[] inputNames = [.. _operator.Inputs.Select(operand => operand.Name)];
        string[] outputNames = [.. _operator.Outputs.Select(OperatorModel.NameOfOutput)];
        _session.Run(
            options,
            inputNames,
            [.. inputNames.Select(name => inputs[name])],
            outputNames,
            [.. outputNames.Select(name => outputs[name])]);
    }

    public void Dispose()
    {
        _session.Dispose();
        _options.Dispose();
        _ownDomain?.Dispose();
    }
}
