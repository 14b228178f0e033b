using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Graph.Passes;

/// <summary>Activation checkpointing. What a block of the forward graph keeps for the backward pass is computed once more
/// there, from what comes into the block: the first results need no memory in between. A copy reads the block's inputs
/// through a Reshape whose target waits for the gradient of the block's result, so that it neither runs early nor is
/// merged with its original.</summary>
internal sealed class RecomputeActivations
{
    private readonly OnnxGraph _graph;
    private readonly GraphBuilder _builder;
    private readonly Node[] _forward;
    private readonly Node[] _backward;
    private readonly HashSet<Value> _carried;
    private readonly IReadOnlySet<Value> _parameters;
    private readonly List<string> _tangled = [];
    private readonly HashSet<Node> _blocks = [];

    private RecomputeActivations(OnnxGraph graph, GraphBuilder builder, int forward, IReadOnlySet<Value> parameters)
    {
        _graph = graph;
        _parameters = parameters;
        _builder = builder;
        _forward = [.. graph.Nodes.Take(forward)];
        _backward = [.. graph.Nodes.Skip(forward)];
        // Bodies read outer values by name, and outputs must stay what they are.
        _carried = [.. graph.Outputs, .. graph.Nodes.SelectMany(n => n.Subgraphs.SelectMany(b => b.Captured()))];
    }

    /// <summary>forward: how many of the nodes are the forward graph, in front. gradients: ∂L/∂value of forward
    /// values.</summary>
    public static void Run(OnnxGraph graph, GraphBuilder builder, int forward, IReadOnlySet<Value> parameters,
        IReadOnlyDictionary<Value, Value> gradients, IReadOnlyList<NamePattern> patterns)
    {
        if (patterns.Count == 0) return;
        var pass = new RecomputeActivations(graph, builder, forward, parameters);
        var blocks = new Dictionary<(NamePattern, string), List<Node>>();
        HashSet<Node> taken = pass._blocks;
        foreach (NamePattern pattern in patterns)
        {
            int before = taken.Count;
            foreach (Node node in pass._forward)
            {
                if (pattern.Captured(node.Name) is not string part || !taken.Add(node)) continue;
                if (!blocks.TryGetValue((pattern, part), out List<Node>? block)) blocks[(pattern, part)] = block = [];
                block.Add(node);
            }
            if (taken.Count == before)
            {
                throw new OptionException(
                    $"{nameof(TrainingOptions.Recompute)}: the pattern '{pattern}' matches no further node of the forward graph. "
                    + "Nodes have names such as "
                    + $"{string.Join(", ", pass._forward.Select(n => $"'{n.Name}'").Where(n => n.Length > 2).Distinct().Take(5))}.");
            }
        }
        foreach (((NamePattern pattern, string part), List<Node> block) in blocks)
        {
            pass.Recompute(block, gradients, $"{pattern}{(part.Length > 0 ? $" at '{part}'" : "")}");
        }
        OptionException.ThrowIfAny($"{nameof(TrainingOptions.Recompute)} has blocks whose results come back into them", pass._tangled);
        graph.Sort();
    }

    private void Recompute(List<Node> block, IReadOnlyDictionary<Value, Value> gradients, string name)
    {
        var members = block.ToHashSet();
        HashSet<Value> made = [.. block.SelectMany(n => n.Outputs).OfType<Value>()];
        HashSet<Value> results = [.. _forward.Where(n => !members.Contains(n)).SelectMany(OnnxGraph.ReadBy).Where(made.Contains)];
        // What leaves the block is kept, unless it is all that the block has; what another block begins with always is.
        if (!Recompute(block, members, made, results, results, gradients, name))
        {
            Recompute(block, members, made, results,
                [.. results.Where(v => _blocks.Any(n => !members.Contains(n) && OnnxGraph.ReadBy(n).Contains(v)))], gradients, null);
        }
    }

    /// <summary>False when everything that the backward pass reads is kept. name: for the message when it cannot be done;
    /// null where that is no mistake.</summary>
    private bool Recompute(List<Node> block, HashSet<Node> members, HashSet<Value> made, HashSet<Value> results, HashSet<Value> staying,
        IReadOnlyDictionary<Value, Value> gradients, string? name)
    {
        HashSet<Value> kept = [.. staying, .. made.Where(_carried.Contains), .. block.Where(OperatorTraits.MayDraw)
            .SelectMany(n => n.Outputs).OfType<Value>()];
        // Shape arithmetic costs nothing to keep.
        kept.UnionWith(made.Where(v => v.Type == ElementType.Int64));
        HashSet<Value> wanted = [.. _backward.SelectMany(OnnxGraph.ReadBy).Where(v => made.Contains(v) && !kept.Contains(v))];
        if (wanted.Count == 0) return false;
        var needed = new HashSet<Node>();
        var work = new Stack<Value>(wanted);
        while (work.TryPop(out Value? value))
        {
            if (kept.Contains(value) || value.Producer is not Node producer || !members.Contains(producer) || !needed.Add(producer))
                continue;
            foreach (Value read in OnnxGraph.ReadBy(producer)) work.Push(read);
        }
        if (Trigger(block, results, wanted, gradients, name) is Value trigger)
            Copy(block.Where(needed.Contains), kept, wanted, trigger, block[0].Name);
        return true;
    }

    /// <summary>The gradient of the last result that does not itself need what the block keeps; null where the block
    /// needs none, or there is no such gradient.</summary>
    private Value? Trigger(List<Node> block, HashSet<Value> results, HashSet<Value> wanted, IReadOnlyDictionary<Value, Value> gradients,
        string? name)
    {
        var downstream = new HashSet<Value>(wanted);
        foreach (Node node in _backward)
        {
            if (OnnxGraph.ReadBy(node).Any(downstream.Contains)) downstream.UnionWith(node.Outputs.OfType<Value>());
        }
        bool any = false;
        foreach (Value value in block.AsEnumerable().Reverse().SelectMany(n => n.Outputs).OfType<Value>().Where(results.Contains))
        {
            if (!gradients.TryGetValue(value, out Value? gradient)) continue;
            if (!downstream.Contains(gradient)) return gradient;
            any = true;
        }
        if (any && name is not null)
            _tangled.Add($"{name}: the gradients of all of its results need what is to be computed again; choose whole layers");
        return null;
    }

    private void Copy(IEnumerable<Node> nodes, HashSet<Value> kept, HashSet<Value> wanted, Value trigger, string scope)
    {
        _builder.Scope = $"{scope}/recompute";
        Value? late = null;
        var copier = new GraphCopier(_graph.Names, "/recompute");
        var passed = new HashSet<Value>();
        var copied = new List<Node>();
        var made = new HashSet<Value>();
        foreach (Node node in nodes)
        {
            foreach (Value read in OnnxGraph.ReadBy(node).Where(v => !made.Contains(v) && passed.Add(v)))
            {
                if (read.IsInitializer || read.Type == ElementType.Int64 || _parameters.Contains(read)) continue;
                copier.Map[read] = After(read, late ??= Zero(trigger));
            }
            if (!OnnxGraph.ReadBy(node).Any(copier.Map.ContainsKey)) continue;
            copied.Add(copier.Node(node));
            made.UnionWith(node.Outputs.OfType<Value>().Where(v => !kept.Contains(v)));
            foreach (Value output in node.Outputs.OfType<Value>().Where(kept.Contains)) copier.Map.Remove(output);
        }
        foreach (Node node in copied) _graph.Nodes.Add(node);
        foreach (Node node in _backward)
        {
            for (int i = 0; i < node.Inputs.Count; i++)
            {
                if (node.Inputs[i] is Value read && wanted.Contains(read) && copier.Map.TryGetValue(read, out Value? again))
                    node.Inputs[i] = again;
            }
        }
    }

    /// <summary>The number 0, not known before the gradient is: whether its first element, if it has one, is a number,
    /// times 0.</summary>
    private Value Zero(Value gradient)
    {
        Value first = _builder.Op("Slice", [_builder.Reshape(gradient, _builder.Ints(-1)), _builder.Ints(0), _builder.Ints(1)]);
        GraphBuilder.Typed(first, gradient.Type, null);
        Value flag = GraphBuilder.Typed(_builder.Op("Equal", [first, first]), ElementType.Bool, null);
        return _builder.Mul(
            _builder.ReduceSum(GraphBuilder.Typed(_builder.Op("Cast", [flag], ("to", (long)ElementType.Int64)), ElementType.Int64, null),
                true), _builder.Ints(0));
    }

    /// <summary>The value itself, in its own memory.</summary>
    private Value After(Value value, Value zero)
    {
        Value shape = _builder.Add(_builder.Op("Shape", [value]), zero);
        return GraphBuilder.Like(_builder.Op("Reshape", [value, shape], ("allowzero", 1L)), value);
    }
}
