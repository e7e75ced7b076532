def handler(event, context):
    return {"path": event["rawPath"], "sum": sum([1, 2, 3])}
