using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Replaces calls of model-local functions by their bodies, nested ones too, so that every later stage sees
/// operators only.</summary>
internal static class InlineFunctions
{
    private const int MaxDepth = 64;

    /// <summary>Functions with a rule of their own stay calls: the rule knows better than the body.</summary>
    public static void Run(OnnxModel model, GradientRules? rules = null) => Run(model, f => rules?.Has(f.Domain, f.Name) == true);

    /// <summary><c>keeps</c>: functions whose calls stay.</summary>
    public static void Run(OnnxModel model, Func<OnnxFunction, bool> keeps)
    {
        if (model.Functions.Count == 0) return;
        var kept = model.Functions.Where(keeps).ToHashSet();
        var table = model.Functions.Where(f => !kept.Contains(f)).ToDictionary(f => (f.Domain, f.Name, f.Overload));
        foreach (OnnxFunction function in model.Functions)
        {
            foreach ((string domain, long version) in function.Opsets) model.Opsets.TryAdd(domain, version);
        }
        Expand(model.Graph, table, 0);
        if (kept.Count > 0) return;
        // A call of a kernel needs no function, but its domain.
        var used = model.Graph.NodesAndInner().Select(n => n.Domain).Append("").Append("com.microsoft").ToHashSet(StringComparer.Ordinal);
        foreach (string domain in model.Functions.Select(f => f.Domain).Distinct().Where(d => !used.Contains(d)))
            model.Opsets.Remove(domain);
        model.Functions.Clear();
    }

    private static void Expand(OnnxGraph graph, Dictionary<(string, string, string), OnnxFunction> table, int depth)
    {
        if (depth > MaxDepth)
        {
            throw new ModelFormatException(
                $"Functions of the model are nested more than {MaxDepth} deep or call themselves (graph '{graph.Name}'). "
                + "ONNX allows no recursion; export the model again.");
        }
        var result = new List<Node>();
        foreach (Node node in graph.Nodes)
        {
            foreach (OnnxGraph body in node.Subgraphs) Expand(body, table, depth);
            if (table.TryGetValue((node.Domain, node.OpType, node.Overload), out OnnxFunction? function))
            {
                OnnxGraph inlined = Instantiate(graph, node, function);
                Expand(inlined, table, depth + 1);
                result.AddRange(inlined.Nodes);
                foreach (Value constant in inlined.Initializers) graph.Initializers.Add(constant);
            }
            else
            {
                result.Add(node);
            }
        }
        graph.Nodes.Clear();
        graph.Nodes.AddRange(result);
    }

    /// <summary>A copy of the body, its inputs replaced by the call's, its outputs being the call's own
    /// values.</summary>
    private static OnnxGraph Instantiate(OnnxGraph graph, Node call, OnnxFunction function)
    {
        var map = new Dictionary<Value, Value?>();
        for (int i = 0; i < function.Body.Inputs.Count; i++) map[function.Body.Inputs[i]] = call.In(i);
        var attributes = new Dictionary<string, object>(function.AttributeDefaults);
        foreach ((string name, object value) in call.Attributes) attributes[name] = value;
        var copy = new OnnxGraph(function.Name, graph.Names);
        string prefix = call.Name.Length > 0 ? call.Name : call.OpType;
        var outputs = new Dictionary<Value, Value>();
        for (int i = 0; i < function.Body.Outputs.Count; i++)
        {
            if (i < call.Outputs.Count && call.Outputs[i] is Value target) outputs.TryAdd(function.Body.Outputs[i], target);
        }
        // Bodies of our own hold constants as initializers; those of files have Constant nodes.
        foreach (Value constant in function.Body.Initializers)
        {
            var made = new Value(graph.Names.Unique($"{prefix}/{constant.Name}"), constant.Type, constant.Shape) { Data = constant.Data };
            map[constant] = made;
            copy.Initializers.Add(made);
        }
        CopyNodes(function.Body, copy, map, outputs, attributes, prefix);
        for (int i = 0; i < Math.Min(function.Body.Outputs.Count, call.Outputs.Count); i++)
        {
            // An output that is an input, or the second use of one value, has no node of its own.
            if (call.Outputs[i] is not Value target || map[function.Body.Outputs[i]] == target) continue;
            var identity = new Node("", "Identity", graph.Names.Unique($"{prefix}/Identity"));
            identity.Inputs.Add(map[function.Body.Outputs[i]]);
            identity.Outputs.Add(target);
            target.Producer = identity;
            copy.Nodes.Add(identity);
        }
        return copy;
    }

    private static void CopyNodes(OnnxGraph from, OnnxGraph to, Dictionary<Value, Value?> map, Dictionary<Value, Value> outputs,
        Dictionary<string, object> attributes, string prefix)
    {
        foreach (Node node in from.Nodes)
        {
            var copy = new Node(node.Domain, node.OpType, to.Names.Unique($"{prefix}/{(node.Name.Length > 0 ? node.Name : node.OpType)}"))
            { Overload = node.Overload, Origin = node.Origin };
            foreach (Value? input in node.Inputs)
                copy.Inputs.Add(input is null ? null : map.TryGetValue(input, out Value? known) ? known : input);
            foreach (Value? output in node.Outputs)
            {
                Value? made = null;
                if (output is not null && !outputs.TryGetValue(output, out made))
                    made = new Value(to.Names.Unique($"{prefix}/{output.Name}"), output.Type, output.Shape);
                if (made is not null)
                {
                    made.Producer = copy;
                    map[output!] = made;
                }
                copy.Outputs.Add(made);
            }
            foreach ((string name, object value) in node.Attributes)
            {
                if (value is AttributeReference reference)
                {
                    if (attributes.TryGetValue(reference.Name, out object? given)) copy.Set(name, given);
                }
                else
                {
                    copy.Set(name, value is OnnxGraph body ? CopyBody(body, to, map, attributes, prefix) : value);
                }
            }
            to.Nodes.Add(copy);
        }
    }

    private static OnnxGraph CopyBody(OnnxGraph body, OnnxGraph around, Dictionary<Value, Value?> map,
        Dictionary<string, object> attributes, string prefix)
    {
        var copy = new OnnxGraph(body.Name, around.Names) { Origin = body.Origin };
        foreach (Value input in body.Inputs)
        {
            var made = new Value(around.Names.Unique($"{prefix}/{input.Name}"), input.Type, input.Shape) { Origin = input.Origin };
            map[input] = made;
            copy.Inputs.Add(made);
        }
        foreach (Value initializer in body.Initializers)
        {
            // One value for all calls, as it is in the file.
            map[initializer] = initializer;
            copy.Initializers.Add(initializer);
        }
        CopyNodes(body, copy, map, [], attributes, prefix);
        foreach (Value output in body.Outputs) copy.Outputs.Add((map.TryGetValue(output, out Value? known) ? known : output)!);
        return copy;
    }
}
