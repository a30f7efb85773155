/**
 * Maintenance: a critical check that stands for a person's wish, of the node or of one service, with the reason as notes.
 */
import { HealthCheck, type NodeService } from '#codec'

const NODE_CHECK = '_node_maintenance'
const SERVICE_CHECK = '_service_maintenance:'

/** @param serviceId - "" for the node */
export function maintenanceId(serviceId: string): string {
  return serviceId === '' ? NODE_CHECK : SERVICE_CHECK + serviceId
}

/** @param service - undefined for the node */
export function maintenanceCheck(node: string, service: NodeService | undefined, reason: string): HealthCheck {
  const what = service ? 'service' : 'node'
  return HealthCheck.of({
    Node: node,
    CheckID: maintenanceId(service?.ID ?? ''),
    Name: service ? 'Service Maintenance Mode' : 'Node Maintenance Mode',
    Status: 'critical',
    Notes:
      reason || `Maintenance mode is enabled for this ${what}, but no reason was provided. This is a default message.`,
    ServiceID: service?.ID ?? '',
    ServiceName: service?.Service ?? '',
    ServiceTags: service?.Tags ?? null,
    Type: 'maintenance',
  })
}
